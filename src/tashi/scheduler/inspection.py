"""Holds the books against the site's servers, and has mended what differs.

Nothing here keeps DNS and DHCP right: that is the clerk's work, who goes by the books. So what a
server lacks is said to the books, and the scheduler enters it again as it did the first time. Only
what is booked for nobody, and so nobody's work, is removed from here, through the same ports.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final

from tashi.domain.differences import (
    Booked,
    Difference,
    Findings,
    Flaw,
    Heard,
    booked_in,
    differences,
)
from tashi.domain.errors import NoSuchInstance, TooOld
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.listings import SiteEntry, duty_of, entries_of
from tashi.domain.pools import Pool
from tashi.ports.clock import Clock
from tashi.ports.cluster import ClusterManager, Snapshot
from tashi.scheduler.clerk import Servers
from tashi.scheduler.names import Range

PATIENCE_SECONDS: Final = 60.0
"""For so long the scheduler is given time to enter what was lost."""

Asks = Callable[[str, int], None]
"""Is told what is asked about now, and how many were asked about before."""


class Inspection:
    """What a look finds may be mended; a second look says whether it was."""

    def __init__(
        self, servers: Servers, ranges: Iterable[Range], cluster: ClusterManager, clock: Clock
    ) -> None:
        self._servers = servers
        self._pools = [Pool(one.span, one.kept_out) for one in ranges]
        self._cluster = cluster
        self._clock = clock

    def look(self, asks: Asks) -> Findings:
        """How the servers differ from the books; raises Failed when one of them is away."""
        before = booked_in(_instances(self._cluster.snapshot()))
        listed = {where: server.entries() for where, server in self._servers.everyone().items()}
        heard = self._hear(before, listed, asks)
        after = booked_in(_instances(self._cluster.snapshot()))
        return Findings(
            booked=len(after.wanted),
            differences=[
                one for each in heard for one in differences(before, after, each, self._may_be_ours)
            ],
            unlisted=[where for where, found in listed.items() if found is None],
        )

    def mend(self, found: Iterable[Difference]) -> None:
        """Remove what is left over, have entered what is lacking, and wait until that was tried."""
        lacking: dict[InstanceId, set[SiteEntry]] = {}
        for one in found:
            if one.flaw is Flaw.LEFT_OVER:
                self._remove(one.entry)
            else:
                lacking.setdefault(one.entry.owner, set()).add(one.entry)
        for record in _instances(self._cluster.snapshot()):
            if record.id in lacking:
                self._relist(record, lacking[record.id])
        self._wait(lacking.keys())

    # ---- looking --------------------------------------------------------------------------------

    def _hear(
        self,
        booked: Booked,
        listed: Mapping[str, Sequence[SiteEntry] | None],
        asks: Asks,
    ) -> list[Heard]:
        # A server that does not list what it has is asked about what is left over in another.
        strange = {one for found in listed.values() for one in found or () if one not in booked}
        entries = [*booked, *sorted(strange, key=str)]
        said: dict[str, dict[SiteEntry, Difference | None]] = {where: {} for where in listed}
        for number, entry in enumerate(entries):
            asks(str(entry), number)
            for where, server in self._servers.for_entry(entry).items():
                said[where][entry] = server.difference(entry)
        return [
            Heard(where, frozenset(listed[where] or ()), answers) for where, answers in said.items()
        ]

    def _may_be_ours(self, ip: str) -> bool:
        return any(not pool.why_not(ip) for pool in self._pools)

    # ---- mending --------------------------------------------------------------------------------

    def _remove(self, entry: SiteEntry) -> None:
        # DNS last: it alone says what of Tashi's it has, so whoever dies here finds it again.
        for server in self._servers.for_entry(entry).values():
            server.remove(entry)

    def _relist(self, record: Instance, lacking: set[SiteEntry]) -> None:
        lost = [one for entry, one in entries_of(record).items() if entry in lacking]
        with suppress(NoSuchInstance):  # it is over and forgotten: nothing is lacking any more
            self._cluster.relist(record.id, lost)

    def _wait(self, keys: AbstractSet[InstanceId]) -> None:
        """Wait until the servers were told of these instances, or the books say why not."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while (left := until - self._clock.monotonic()) > 0:
            now = self._cluster.snapshot()
            if not any(one.id in keys and _waits(one) for one in _instances(now)):
                return
            try:
                self._cluster.watch(now.next, left)
            except TooOld:
                continue


def _instances(snapshot: Snapshot) -> list[Instance]:
    return [one for one in snapshot.records if isinstance(one, Instance)]


def _waits(record: Instance) -> bool:
    return bool(duty_of(record).enter) and not record.trouble
