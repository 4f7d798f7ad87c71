"""What users used, out of the journal: one pass over the volumes that matter, line by line."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

from tashi.domain.errors import BadRequest, Misconfigured
from tashi.domain.identity import EventNumber
from tashi.domain.usage import Account, Tally
from tashi.ports.journal import JournalReader, Volume
from tashi.wire import history

_CLOCKS_DIFFER_SECONDS: Final = 3600.0
"""How far the accounting daemon's clock, by which volumes are named, may be from that of events."""


def account(journal: JournalReader, begin: float, end: float) -> Account:
    """What users used from `begin` until `end`, in seconds since 1970.

    Raises Misconfigured where there is no journal, or a damaged one, and what reading it raises.
    """
    volumes = journal.volumes()
    if not volumes:
        raise Misconfigured(
            "There is no journal yet: start the accounting daemon here, or set journal in "
            "[AccountingService] to the folder of one."
        )
    reading = _Reading(journal, begin, end)
    first, beyond = _needed(volumes, begin, end)
    for volume in volumes[first:beyond]:
        reading.read(volume)
    for volume in volumes[beyond : beyond + 1]:
        reading.look_at_beginning(volume)
    return Account(reading.tally.result(), tuple(reading.gaps))


def _needed(volumes: Sequence[Volume], begin: float, end: float) -> tuple[int, int]:
    """The place of the newest that surely began before `begin`, and of the first beyond `end`.

    A clock may have been wrong when a volume was named: one whose name is earlier than that of an
    older one says nothing about when it began.
    """
    first, beyond, latest = 0, 0, -math.inf
    for place, volume in enumerate(volumes):
        latest = max(latest, volume.began)
        if volume.began == latest and volume.began + _CLOCKS_DIFFER_SECONDS <= begin:
            first = place
        if volume.began - _CLOCKS_DIFFER_SECONDS <= end:
            beyond = place + 1
    return first, beyond


class _Reading:
    def __init__(self, journal: JournalReader, begin: float, end: float) -> None:
        self.tally = Tally(begin, end)
        self.gaps: list[tuple[float, float]] = []
        self._journal = journal
        self._begin = begin
        self._end = end
        self._next: EventNumber | None = None
        self._heard = begin

    def read(self, volume: Volume) -> None:
        """Tell the tally what is in the volume."""
        self._read(volume, None)

    def look_at_beginning(self, volume: Volume) -> None:
        """Tell the tally how the volume begins: whether events are missing before it, too."""
        self._read(volume, 1)

    def _read(self, volume: Volume, most: int | None) -> None:
        place = 0
        try:
            for line, following in islice(self._journal.lines(volume), most):
                if place == 0:
                    self._take_up(volume, line)
                else:
                    number, self._heard = history.tell_event(line, self.tally)
                    self._next = EventNumber(number + 1)
                place = following
        except BadRequest as wrong:
            raise Misconfigured(
                f"The journal's volume {volume.name} is damaged at byte {place}: "
                f"{wrong.message}. Restore it from a backup, or move it away and do without it."
            ) from wrong

    def _take_up(self, volume: Volume, line: bytes) -> None:
        if history.next_after_first(line) != self._next:
            gap = (max(self._heard, self._begin), min(volume.began, self._end))
            if gap[0] < gap[1]:
                self.gaps.append(gap)
        history.tell_present(line, self.tally)
