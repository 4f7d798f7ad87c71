"""The books of the cluster: every record, with the indices that the rules ask.

Books are a value. A change gives new ones that share nearly everything with the old (persistent
maps), so a reader keeps the snapshot it has, a failed commit is undone by dropping the new ones,
and a follower that applies the same changes has equal books. No question asked on a hot path costs
more as the cluster grows.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

from immutables import Map

from tashi.domain.catalogue import Network, User
from tashi.domain.errors import NoSuchHost, NoSuchHostId, NoSuchInstance
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId, NetworkId, UserId
from tashi.domain.instance import Instance
from tashi.domain.journal import Change, Kind, Put, Record
from tashi.domain.listings import Place, host_names_of, places_of
from tashi.domain.states import InstanceState, Phase, facts

K = TypeVar("K")
V = TypeVar("V")
Ids = Map[InstanceId, None]
_NONE: Final[Ids] = Map()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the instances on one host take up together; memory in MiB."""

    instances: int = 0
    cores: int = 0
    memory: int = 0

    def plus(self, instance: Instance) -> "Usage":
        """The usage with one instance more."""
        return Usage(self.instances + 1, self.cores + instance.cores, self.memory + instance.memory)

    def minus(self, instance: Instance) -> "Usage":
        """The usage with one instance less."""
        return Usage(self.instances - 1, self.cores - instance.cores, self.memory - instance.memory)


@dataclass(frozen=True, slots=True)
class Books:
    """All records of a cluster, by id, and what follows from them.

    `names` and `macs` know every instance that is not over. `usage` counts everything that
    occupies a host or is on its way there. `on_host` also names instances that a host keeps disks
    or leftovers of. `attached` says which instance has a persistent disk, `disks` which instances
    have an image as a disk of whatever kind, also those that are over and left something.
    `places` says which instances have an address booked, `host_names` which have a name in DNS, in
    small letters.

    Where a key may have many instances they are the keys of a map (`Ids`): a set would be copied
    with each that comes or goes, and thousands may have one image.
    """

    instances: Map[InstanceId, Instance] = field(default_factory=Map)
    hosts: Map[HostId, Host] = field(default_factory=Map)
    networks: Map[NetworkId, Network] = field(default_factory=Map)
    users: Map[UserId, User] = field(default_factory=Map)
    names: Map[str, Ids] = field(default_factory=Map)
    macs: Map[str, InstanceId] = field(default_factory=Map)
    usage: Map[HostId, Usage] = field(default_factory=Map)
    on_host: Map[HostId, Ids] = field(default_factory=Map)
    groups: Map[str, Ids] = field(default_factory=Map)
    attached: Map[str, InstanceId] = field(default_factory=Map)
    disks: Map[str, Ids] = field(default_factory=Map)
    waiting: Map[InstanceId, None] = field(default_factory=Map)
    places: Map[Place, InstanceId] = field(default_factory=Map)
    host_names: Map[str, InstanceId] = field(default_factory=Map)

    # ---- questions ----------------------------------------------------------------------------

    def instance(self, key: InstanceId) -> Instance:
        """That instance, unless it is over; raises NoSuchInstance."""
        found = self.instances.get(key)
        if found is None or found.state is InstanceState.EXITED:
            raise NoSuchInstance(f"There is no instance {key}.", instance=key)
        return found

    def named(self, name: str) -> list[Instance]:
        """The instances of that name that are not over, by id."""
        return [self.instances[key] for key in sorted(self.names.get(name, _NONE))]

    def host(self, key: HostId) -> Host:
        """That host; raises NoSuchHostId."""
        found = self.hosts.get(key)
        if found is None:
            raise NoSuchHostId(f"There is no host {key}.", host=key)
        return found

    def host_named(self, name: str) -> Host:
        """The host of that name; raises NoSuchHost."""
        for host in self.hosts.values():
            if host.name == name:
                return host
        raise NoSuchHost(f"There is no host named {name!r}: getHosts lists those there are.")

    def has(self, kind: Kind, key: int) -> bool:
        """Whether there is a record of that kind with that id."""
        match kind:
            case Kind.INSTANCE:
                return InstanceId(key) in self.instances
            case Kind.HOST:
                return HostId(key) in self.hosts
            case Kind.NETWORK:
                return NetworkId(key) in self.networks
        return UserId(key) in self.users

    def used(self, host: HostId) -> Usage:
        """What is taken of that host, including what is on its way."""
        return self.usage.get(host, Usage())

    def concerning(self, host: HostId) -> Iterator[Instance]:
        """Every instance that occupies the host or has left something there."""
        return (self.instances[key] for key in sorted(self.on_host.get(host, _NONE)))

    def with_disk(self, image: str) -> list[Instance]:
        """The instances that have an image as a disk, by id; also those that left something."""
        return [self.instances[key] for key in sorted(self.disks.get(image, _NONE))]

    def visible(self) -> list[Instance]:
        """The instances that are not over, by id."""
        return sorted(
            (one for one in self.instances.values() if one.state is not InstanceState.EXITED),
            key=lambda one: one.id,
        )

    # ---- changes ------------------------------------------------------------------------------

    def apply(self, change: Change) -> "Books":
        """The books after that change."""
        if isinstance(change, Put):
            return self.put(change.record)
        return self._drop(change.kind, change.key)

    def put(self, record: Record) -> "Books":
        """The books with that record in place of the one of its id."""
        match record:
            case Instance():
                return _exchanged(self, record.id, record)
            case Host():
                return replace(self, hosts=self.hosts.set(record.id, record))
            case Network():
                return replace(self, networks=self.networks.set(record.id, record))
        return replace(self, users=self.users.set(record.id, record))

    def _drop(self, kind: Kind, key: int) -> "Books":
        match kind:
            case Kind.INSTANCE:
                return _exchanged(self, InstanceId(key), None)
            case Kind.HOST:
                return replace(self, hosts=_without_key(self.hosts, HostId(key)))
            case Kind.NETWORK:
                return replace(self, networks=_without_key(self.networks, NetworkId(key)))
        return replace(self, users=_without_key(self.users, UserId(key)))


def books_of(records: Iterable[Record]) -> Books:
    """Books that hold those records."""
    books = Books()
    for record in records:
        books = books.put(record)
    return books


class _Keys(NamedTuple):
    """Under what the indices know an instance."""

    names: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    on_host: frozenset[HostId] = frozenset()
    attached: tuple[str, ...] = ()
    disks: frozenset[str] = frozenset()
    waiting: tuple[InstanceId, ...] = ()
    places: tuple[Place, ...] = ()
    host_names: tuple[str, ...] = ()


_NOWHERE: Final = _Keys()


def _keys(one: Instance | None) -> _Keys:
    if one is None:
        return _NOWHERE
    live = one.state is not InstanceState.EXITED
    return _Keys(
        names=(one.name,) if live else (),
        macs=one.macs if live else (),
        groups=(one.group_name,) if live and one.group_name else (),
        on_host=concerned_hosts(one),
        attached=_held(one),
        disks=frozenset(one.images),
        waiting=(one.id,) if facts(one.state).phase is Phase.WAITING else (),
        places=places_of(one) if one.listings else (),
        host_names=host_names_of(one) if one.listings else (),
    )


def _exchanged(books: Books, key: InstanceId, after: Instance | None) -> Books:
    """The books with that in place of what they hold under the key."""
    before = books.instances.get(key)
    old, new = _keys(before), _keys(after)
    instances = books.instances
    return Books(
        instances=_without_key(instances, key) if after is None else instances.set(key, after),
        hosts=books.hosts,
        networks=books.networks,
        users=books.users,
        names=_shared(books.names, old.names, new.names, key),
        macs=_owned(books.macs, old.macs, new.macs, key),
        usage=_used(books.usage, before, after),
        on_host=_shared(books.on_host, old.on_host, new.on_host, key),
        groups=_shared(books.groups, old.groups, new.groups, key),
        attached=_owned(books.attached, old.attached, new.attached, key),
        disks=_shared(books.disks, old.disks, new.disks, key),
        waiting=_owned(books.waiting, old.waiting, new.waiting, None),
        places=_owned(books.places, old.places, new.places, key),
        host_names=_owned(books.host_names, old.host_names, new.host_names, key),
    )


def _used(
    usage: Map[HostId, Usage], before: Instance | None, after: Instance | None
) -> Map[HostId, Usage]:
    if before is not None:
        for host in before.hosts:
            rest = usage[host].minus(before)
            usage = usage.set(host, rest) if rest.instances else usage.delete(host)
    if after is not None:
        for host in after.hosts:
            usage = usage.set(host, usage.get(host, Usage()).plus(after))
    return usage


def _held(one: Instance) -> tuple[str, ...]:
    """The persistent disks that no other instance may open now.

    Saved memory counts: a guest that wakes up to a changed disk destroys it.
    """
    asleep = one.saved is not None and one.state is not InstanceState.EXITED
    return one.persistent_disks if one.hosts or asleep else ()


def concerned_hosts(one: Instance) -> frozenset[HostId]:
    """The hosts that the instance occupies or has left something on."""
    kept = () if one.disks_on is None else (one.disks_on,)
    return frozenset((*one.hosts, *one.leftovers, *kept))


def _shared(
    index: Map[K, Ids], old: Collection[K], new: Collection[K], one: InstanceId
) -> Map[K, Ids]:
    """An index of keys that several instances may have, after one has changed its keys."""
    if old == new:
        return index
    for key in old:
        rest = _without_key(index.get(key, _NONE), one)
        index = index.set(key, rest) if rest else _without_key(index, key)
    for key in new:
        index = index.set(key, index.get(key, _NONE).set(one, None))
    return index


def _owned(index: Map[K, V], old: Collection[K], new: Collection[K], value: V) -> Map[K, V]:
    """An index of keys that one instance has at a time, after one has changed its keys."""
    if old == new:
        return index
    for key in old:
        index = _without_key(index, key)
    for key in new:
        index = index.set(key, value)
    return index


def _without_key(index: Map[K, V], key: K) -> Map[K, V]:
    return index.delete(key) if key in index else index
