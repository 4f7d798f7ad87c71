"""The open hosts of a cluster in the order in which they should be tried.

Packing densely takes the host with the least free memory that still suffices; spreading takes the
one with the most. Both read the same sorted list, one from the need upwards and one from its top
downwards, so finding a host costs the logarithm of how many there are, and so does telling the
ranking that a host has changed. Hosts of equal room are taken by id, the lowest first when
spreading and the highest first when packing.

Hosts that take nobody (down, drained, no core left) are not in the list at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sortedcontainers import SortedList

from tashi.domain.books import Books
from tashi.domain.identity import HostId
from tashi.domain.instance import Instance
from tashi.domain.placement.filters import Policy, is_open


@dataclass(frozen=True, slots=True)
class Wish:
    """The order that one instance would like.

    `only` narrows the choice to some hosts; ``None`` leaves it free. `lean` says which hosts come
    before the others (below zero, the lowest first) and which after all others (above zero).
    """

    dense: bool
    only: frozenset[HostId] | None = None
    lean: Mapping[HostId, int] = field(default_factory=dict)


class Room(NamedTuple):
    """What is free on an open host, so that rooms sort as hosts are to be tried."""

    memory: int
    negative_id: int
    cores: int


class Ranking:
    """Open hosts by free memory in MiB; the one thing here that changes in place.

    It is a cache over books and follows them: whoever changes what a host has, or what it is, calls
    `refresh` with the new books.
    """

    def __init__(self, books: Books, policy: Policy) -> None:
        self._policy = policy
        self._rooms: dict[HostId, Room] = {}
        self._sorted = SortedList()
        for host in books.hosts:
            self.refresh(books, host)

    def __len__(self) -> int:
        return len(self._rooms)

    def refresh(self, books: Books, host: HostId) -> None:
        """Give the host the place that those books say."""
        before, after = self._rooms.get(host), self._room(books, host)
        if before == after:
            return
        if before is not None:
            del self._rooms[host]
            self._sorted.remove(before)
        if after is not None:
            self._rooms[host] = after
            self._sorted.add(after)

    def order(self, one: Instance, wish: Wish) -> Iterator[HostId]:
        """The hosts worth trying for that instance, the best first.

        Where the wish leaves the choice free, hosts without the cores or the memory are left out.
        """
        lean = wish.lean
        yield from self._leaning((host for host in lean if lean[host] < 0), wish)
        for host in self._level(one, wish):
            if not lean.get(host):
                yield host
        yield from self._leaning((host for host in lean if lean[host] > 0), wish)

    def _level(self, one: Instance, wish: Wish) -> Iterator[HostId]:
        """The hosts in order, before anybody leans anywhere."""
        if wish.only is not None:
            yield from self._by_room(wish.only, wish)
            return
        for room in self._sorted.irange((one.memory,), reverse=not wish.dense):
            if room.cores >= one.cores:
                yield HostId(-room.negative_id)

    def _leaning(self, hosts: Iterable[HostId], wish: Wish) -> list[HostId]:
        wanted = [host for host in hosts if wish.only is None or host in wish.only]
        return sorted(self._by_room(wanted, wish), key=wish.lean.__getitem__)

    def _by_room(self, hosts: Iterable[HostId], wish: Wish) -> list[HostId]:
        """Those hosts as the list would have them, and closed ones as if they had no room."""
        rooms = [self._rooms.get(host) or Room(-1, -host, 0) for host in hosts]
        return [HostId(-room.negative_id) for room in sorted(rooms, reverse=not wish.dense)]

    def _room(self, books: Books, key: HostId) -> Room | None:
        """What is free on that host; ``None`` when it takes nobody."""
        host = books.hosts.get(key)
        if host is None or not is_open(host, self._policy):
            return None
        used = books.used(key)
        cores = self._policy.cores_of(host) - used.cores
        return Room(self._policy.memory_of(host) - used.memory, -key, cores) if cores > 0 else None
