"""What is done to instances on somebody's request: taken on, placed, commanded.

Every function changes a draft and returns the record as it then stands. Refusals are exceptions;
the ledger takes back what a refused function had changed.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from tashi.clustermanager.draft import Draft
from tashi.domain import events as e
from tashi.domain.admission import Limits, Surroundings, Wish, admit
from tashi.domain.books import Books
from tashi.domain.errors import (
    HostStateError,
    InvalidInstance,
    NoRoom,
    NoSuchHost,
    NoSuchUser,
    NotPermitted,
)
from tashi.domain.identity import HostId, InstanceId, NetworkId, UserId
from tashi.domain.instance import Instance, Nic
from tashi.domain.listings import check_asked
from tashi.domain.permissions import Caller, check_keeper, check_owner
from tashi.domain.placement import moving
from tashi.domain.placement.filters import Policy, first_refusal, names_of

_MAC_TRIES = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about instances."""

    limits: Limits
    policy: Policy
    default_network: NetworkId


@dataclass(frozen=True, slots=True)
class Request:
    """An instance asked for: what is wanted, by whom, and what was looked up for it beforehand.

    `owner` is ``None`` for the caller. `users` are those of the
    directory, `images` those of its disks that exist. `draws` makes MAC addresses.
    """

    wanted: Wish
    caller: Caller
    owner: UserId | None
    users: Container[UserId]
    images: Container[str]
    draws: Random


def create(draft: Draft, request: Request, rules: Rules) -> Instance:
    """Take an instance on; it waits for the scheduler from now on."""
    books = draft.books
    owner = _owner(request, books)
    nics = tuple(with_mac(nic, books, request.draws) for nic in request.wanted.nics)
    wanted = replace(request.wanted, nics=nics)
    around = Surroundings(
        names={name: min(ids) for name in (wanted.name,) if (ids := books.names.get(name))},
        macs=books.macs,
        networks=books.networks,
        images=request.images,
    )
    key = draft.next_instance()
    admitted = admit(wanted, rules.limits, around, key=key, owner=owner, at=draft.at)
    check_asked(books.places, admitted.listings)
    check_some_host_is_large_enough(admitted, books, rules.policy)
    _check_the_target_is_known(admitted, books)
    draft.put(admitted, "CM VM REQUEST", request.caller.name)
    return admitted


def command(draft: Draft, key: InstanceId, kind: type[e.Command], caller: Caller) -> Instance:
    """Carry out an owner's command; raises NotPermitted or IncorrectState."""
    before = draft.books.instance(key)
    check = check_keeper if kind is e.CancelMigrate else check_owner
    check(before.user_id, caller, str(before).capitalize())
    return draft.befall(key, kind(draft.next_operation()), caller.name)


def migrate(
    draft: Draft, key: InstanceId, target: HostId, caller: Caller, policy: Policy
) -> Instance:
    """Begin to move a running instance; raises NoRoom when a rule keeps it off the target."""
    instance, host = draft.books.instance(key), draft.books.host(target)
    check_keeper(instance.user_id, caller, str(instance).capitalize())
    if target in instance.hosts:
        raise HostStateError(f"{instance} is on {host.name} already.".capitalize(), host=target)
    refusal = moving.first_refusal(draft.books, host, instance, policy)
    if refusal is not None:
        raise NoRoom(f"{instance} cannot go to {host.name}, which {refusal.words}.")
    return draft.befall(key, e.Migrate(draft.next_operation(), target), caller.name)


def place(draft: Draft, key: InstanceId, host_id: HostId, policy: Policy, by: str = "") -> Instance:
    """Book a host for a waiting instance, if every rule still allows it; raises NoRoom."""
    instance, host = draft.books.instance(key), draft.books.host(host_id)
    kind = e.Place if instance.saved is None else e.PlaceSaved
    if key in draft.books.waiting:
        refusal = first_refusal(draft.books, host, instance, policy)
        if refusal is not None:
            raise NoRoom(f"{instance} cannot go to {host.name}, which {refusal.words}.")
    return draft.befall(key, kind(draft.next_operation(), host_id), by)


def place_many(
    draft: Draft, proposals: Sequence[tuple[InstanceId, HostId]], policy: Policy, by: str = ""
) -> list[tuple[InstanceId, str]]:
    """Book every proposal that is still possible; for each, empty words or why it was not."""
    return [
        (key, draft.attempt(partial(place, draft, key, host_id, policy, by)))
        for key, host_id in proposals
    ]


def _owner(request: Request, books: Books) -> UserId:
    caller = request.caller
    owner = caller.user_id if request.owner is None else request.owner
    if owner is None:
        raise InvalidInstance("Say whose the instance is to be: give --userId.")
    if owner == caller.user_id:
        return owner
    if not caller.is_admin:
        raise NotPermitted(f"Only an administrator creates instances for user {owner}.")
    if owner not in request.users and owner not in books.users:
        raise NoSuchUser(f"There is no user {owner}: getUsers lists those there are.")
    return owner


def with_mac(nic: Nic, books: Books, draws: Random) -> Nic:
    """The network card with a MAC address that nobody has, unless it has one."""
    if nic.mac:
        return nic
    for _ in range(_MAC_TRIES):
        # 52:54:00 is the prefix that QEMU's guests use; Tashi has always drawn the rest.
        mac = "52:54:00:" + draws.randbytes(3).hex(":")
        if mac not in books.macs:
            return Nic(nic.network, mac, nic.ip)
    raise InvalidInstance("No free MAC address was found: give one by hand.")


def check_some_host_is_large_enough(wanted: Instance, books: Books, policy: Policy) -> None:
    """Refuse what no host could ever take; with no host at all, waiting is right."""
    sizes = [(policy.memory_of(host), policy.cores_of(host)) for host in books.hosts.values()]
    if not sizes or any(
        memory >= wanted.memory and cores >= wanted.cores for memory, cores in sizes
    ):
        return
    most_memory, most_cores = max(memory for memory, _ in sizes), max(cores for _, cores in sizes)
    if 0 < most_memory < wanted.memory:
        raise InvalidInstance(
            f"{wanted.memory} MiB of memory is more than any host has: at most {most_memory}."
        )
    if 0 < most_cores < wanted.cores:
        raise InvalidInstance(
            f"{wanted.cores} cores are more than any host has: at most {most_cores}."
        )
    if most_memory and most_cores:
        raise InvalidInstance(
            f"No host has both {wanted.memory} MiB of memory and {wanted.cores} cores: ask for "
            "less of one of them; getHosts says what each host has."
        )


def _check_the_target_is_known(wanted: Instance, books: Books) -> None:
    """Refuse to wait for a host that is only a misspelling; with no host at all, waiting is right.

    Raises NoSuchHost.
    """
    target = wanted.hints.get("targetHost")
    if target is None or not books.hosts:
        return
    if not any(target in names_of(host) for host in books.hosts.values()):
        raise NoSuchHost(f"There is no host {target!r}: getHosts lists those there are.")
