"""Who wants to be near whom, and who keeps away from whom.

A *peer* is what an affinity hint names: a group, or the instances of one name. Every question here
costs as much as there are instances on one host or in one group, never as much as the cluster is
large.
"""

from collections.abc import Iterable, Iterator

from tashi.domain.books import Books
from tashi.domain.identity import HostId
from tashi.domain.instance import Instance

Peer = tuple[str, str]
"""The kind (``group`` or ``instance``) and the name, as `hints.peers` reads them."""


def peers_of(instance: Instance) -> tuple[Peer, Peer]:
    """The two peers that an instance is itself."""
    return (("group", instance.group_name), ("instance", instance.name))


def is_one_of(instance: Instance, wanted: Iterable[Peer]) -> bool:
    """Whether the instance is one of those peers."""
    group, name = peers_of(instance)
    return any(peer in {group, name} for peer in wanted)


def members(books: Books, peer: Peer) -> Iterator[Instance]:
    """Every instance that the peer names, in no particular order."""
    kind, name = peer
    index = books.groups if kind == "group" else books.names
    return (books.instances[key] for key in index.get(name, ()))


def hosts_of(books: Books, peer: Peer) -> set[HostId]:
    """The hosts that the peer's instances occupy, or are on their way to."""
    return {host for one in members(books, peer) for host in one.hosts}


def leads(books: Books, instance: Instance, wanted: Iterable[Peer]) -> bool:
    """Whether the instance is to be the first of those peers on any host.

    Somebody has to be: what wants to be near its own group goes anywhere while none of it is
    placed.
    """
    wanted = tuple(wanted)
    if not is_one_of(instance, wanted):
        return False
    return not any(one.hosts for peer in wanted for one in members(books, peer))


def in_words(wanted: Iterable[Peer]) -> str:
    """The peers as people read them: ``group web or instance db``."""
    return " or ".join(f"{kind} {name}" for kind, name in wanted)
