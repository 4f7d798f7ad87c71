"""What is known of guests right now and is not worth booking: what they use, how far work is.

It is kept in memory only, a node tells it again soon, and nothing is decided by it. Only the
ledger's thread writes here. Readers on other threads look up one entry at a time, and an entry is a
value; whether it still speaks of the present is seen from the record that it is read for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tashi.domain.books import Books
from tashi.domain.guest import Glimpse, Progress, Stats
from tashi.domain.identity import HostId, InstanceId, Operation
from tashi.domain.instance import Instance
from tashi.domain.journal import Entry, Kind, Put
from tashi.domain.states import Phase, facts

_FRESH_TURNS: Final = 3
_FRESH_SECONDS: Final = 10.0
"""Statistics are of the past after so many of their own turns, and so long, without new ones."""


@dataclass(frozen=True, slots=True)
class _Used:
    host: HostId
    told_at: float
    stats: Stats


class Board:
    """The last glimpse of each guest, for as long as it is true."""

    def __init__(self) -> None:
        self._used: dict[InstanceId, _Used] = {}
        self._progress: dict[InstanceId, tuple[Operation, Progress]] = {}

    # ---- the ledger's thread ------------------------------------------------------------------

    def take(self, books: Books, host: HostId, glimpses: Iterable[Glimpse], now: float) -> None:
        """Put up what a host's node told at `now`, where the books say that the guest is there."""
        for one in glimpses:
            record = books.instances.get(one.instance_id)
            if record is None or host not in {record.host_id, record.disks_on}:
                continue
            if one.stats is not None and record.host_id == host:
                self._used[record.id] = _Used(host, now, one.stats)
            if one.progress is not None and _goes_on(record, one.operation):
                self._progress[record.id] = (one.operation, one.progress)

    def note(self, entries: Iterable[Entry]) -> None:
        """Take down what a committed change has overtaken."""
        for entry in entries:
            change = entry.change
            if change.kind is not Kind.INSTANCE:
                continue
            key = InstanceId(change.key)
            record = change.record if isinstance(change, Put) else None
            assert record is None or isinstance(record, Instance)
            if record is None or record.host_id is None:
                self._used.pop(key, None)
            of, _ = self._progress.get(key, (None, None))
            if record is None or of is None or not _goes_on(record, of):
                self._progress.pop(key, None)

    # ---- any thread ---------------------------------------------------------------------------

    def stats(self, record: Instance, now: float) -> Stats | None:
        """What the guest of that record uses, as far as that is known at `now`."""
        found = self._used.get(record.id)
        if found is None or found.host != record.host_id:
            return None
        fresh = now - found.told_at <= found.stats.seconds * _FRESH_TURNS + _FRESH_SECONDS
        return found.stats if fresh else None

    def progress(self, record: Instance) -> Progress | None:
        """How far the move, the save or the storing of disks is that is under way."""
        of, progress = self._progress.get(record.id, (None, None))
        return progress if of is not None and _goes_on(record, of) else None


def _goes_on(record: Instance, operation: Operation) -> bool:
    """Whether something is still under way for the record that began with that operation."""
    if record.operation != operation:
        return False
    return facts(record.state).phase is Phase.MOVING or record.is_being_stored
