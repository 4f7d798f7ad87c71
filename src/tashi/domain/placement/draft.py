"""The search for one host, on books in which every proposal so far counts as accepted.

A draft borrows the ranking that belongs to the books it began with, and gives it back as it was.
Hints narrow the choice before any host is looked at, so an instance that can only go to three hosts
is tried on three; every host that is looked at goes through all filters.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tashi.domain.books import Books
from tashi.domain.events import Place, PlaceSaved
from tashi.domain.hints import flag, peers
from tashi.domain.host import Host
from tashi.domain.identity import HostId, Operation
from tashi.domain.instance import Instance
from tashi.domain.placement.affinity import Peer, hosts_of, is_one_of, peers_of
from tashi.domain.placement.filters import (
    Policy,
    Rule,
    attached_elsewhere,
    first_refusal,
    names_of,
)
from tashi.domain.placement.ranking import Ranking, Wish
from tashi.domain.transitions import step

CLOSED: Final = "closed or full"
NO_ROOM: Final = "cores or memory"
"""What a tally counts hosts under that were not even looked at."""

_TARGET_FIRST: Final = -4
_REFUSED_LAST: Final = 8
_NOWHERE: Final[frozenset[HostId]] = frozenset()


@dataclass(frozen=True, slots=True)
class Nowhere:
    """A search that found no host; `tally` counts the hosts that each rule kept it off."""

    tally: Mapping[str, int]


def booked(one: Instance, host: HostId) -> Instance:
    """The waiting instance as it will be when its placement on that host is accepted."""
    kind = Place if one.saved is None else PlaceSaved
    return step(one, kind(operation=Operation(0), host_id=host)).record


class Draft:
    """Books to try placements on; `close` it, so that the ranking is right again."""

    def __init__(self, books: Books, ranking: Ranking, policy: Policy) -> None:
        self.books = books
        self._began_with = books
        self._ranking = ranking
        self._policy = policy
        self._touched: set[HostId] = set()
        self._whereabouts: dict[Peer, set[HostId]] = {}

    def search(self, one: Instance, refused_by: Collection[HostId]) -> HostId | Nowhere:
        """The best host that the instance may go to, or what kept it off all of them.

        Hosts in `refused_by` come last.
        """
        rule, wish = self._wish(one, refused_by)
        tally: Counter[str] = Counter()
        for key in self._ranking.order(one, wish):
            host = self.books.hosts[key]
            refusal = first_refusal(self.books, host, one, self._policy)
            if refusal is None:
                return key
            tally[refusal.rule] += 1
        return Nowhere(self._with_the_rest(tally, rule))

    def book(self, one: Instance, host: HostId) -> None:
        """Count the instance as placed there."""
        self.enter(booked(one, host), host)

    def enter(self, record: Instance | Host, *hosts: HostId) -> None:
        """Let the record stand in the books, which changes what is free on those hosts."""
        self.books = self.books.put(record)
        self._touched.update(hosts)
        for host in hosts:
            self._ranking.refresh(self.books, host)
        if isinstance(record, Instance):
            for peer in peers_of(record):
                if peer in self._whereabouts:
                    self._whereabouts[peer].update(hosts)

    def close(self) -> None:
        """Give the ranking back as it was."""
        for host in self._touched:
            self._ranking.refresh(self._began_with, host)

    # ---- what the instance would like ---------------------------------------------------------

    def _wish(self, one: Instance, refused_by: Collection[HostId]) -> tuple[Rule | None, Wish]:
        """The order to try hosts in, and the rule that left most of them out, if one did."""
        bounds = list(self._bounds(one))
        dense = flag(one.hints, "densePack", default=self._policy.dense_pack)
        lean = self._lean(one, refused_by)
        if not bounds:
            return None, Wish(dense, None, lean)
        only = frozenset.intersection(*(hosts for _, hosts in bounds))
        return bounds[0][0], Wish(dense, only, lean)

    def _bounds(self, one: Instance) -> Iterator[tuple[Rule, frozenset[HostId]]]:
        """The rules that leave only a few hosts, and which."""
        if attached_elsewhere(self.books, one) is not None:
            yield Rule.ATTACHED, _NOWHERE
        if one.disks_on is not None:
            yield Rule.DISKS, self._known({one.disks_on})
        target = one.hints.get("targetHost")
        if target is not None and not flag(one.hints, "allowElsewhere"):
            yield Rule.TARGET, self._called.get(target, _NOWHERE)
        if "near" in one.hints:
            hosts = self._hosts_of_all(one, "near")
            if hosts or not is_one_of(one, peers(one.hints, "near")):
                yield Rule.NEAR, hosts

    def _lean(self, one: Instance, refused_by: Collection[HostId]) -> Counter[HostId]:
        """Which hosts come before the others and which after them."""
        lean: Counter[HostId] = Counter()
        if "preferNear" in one.hints:
            lean.subtract(self._hosts_of_all(one, "preferNear"))
        if "preferAway" in one.hints:
            lean.update(self._hosts_of_all(one, "preferAway"))
        if "targetHost" in one.hints:
            target = self._called.get(one.hints["targetHost"], _NOWHERE)
            lean.update(dict.fromkeys(target, _TARGET_FIRST))
        lean.update(dict.fromkeys(self._known(refused_by), _REFUSED_LAST))
        return lean

    def _hosts_of_all(self, one: Instance, hint: str) -> frozenset[HostId]:
        """The hosts of all peers that the hint names."""
        found: set[HostId] = set()
        for peer in peers(one.hints, hint):
            if peer not in self._whereabouts:
                self._whereabouts[peer] = hosts_of(self.books, peer)
            found |= self._whereabouts[peer]
        return self._known(found)

    def _known(self, hosts: Collection[HostId]) -> frozenset[HostId]:
        return frozenset(host for host in hosts if host in self.books.hosts)

    @cached_property
    def _called(self) -> dict[str, frozenset[HostId]]:
        """The hosts by what the hint ``targetHost`` may call them."""
        called: dict[str, frozenset[HostId]] = {}
        for host in self.books.hosts.values():
            for name in names_of(host):
                called[name] = called.get(name, _NOWHERE) | {host.id}
        return called

    def _with_the_rest(self, tally: Counter[str], rule: Rule | None) -> Counter[str]:
        """The tally with the hosts that were not even looked at."""
        rest = len(self.books.hosts) - tally.total()
        if rule is not None:
            tally[rule] += rest
            return +tally
        closed = min(rest, len(self.books.hosts) - len(self._ranking))
        tally[CLOSED] += closed
        tally[NO_ROOM] += rest - closed
        return +tally
