"""What leaves a host that is being emptied, where to, and what stays with which reason.

One plan covers everything that the host has: a running instance is given a host, or is named with
what keeps it off all of them; whatever else is there is named with its state. Every move is booked
on a draft before the next is looked for, so the plan as a whole fits; the largest are placed first,
and those that must be near somebody after the others. No host that is to be emptied itself is ever
a target.

The cluster manager asks `move_refusal` again before it books a proposed move.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from tashi.domain.books import Books
from tashi.domain.hints import flag
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.placement.draft import Draft, Nowhere
from tashi.domain.placement.fate import Fate
from tashi.domain.placement.filters import Policy, Refusal, first_refusal, names_of, refusals
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import InstanceState, Order, facts

_S = InstanceState


@dataclass(frozen=True, slots=True)
class Evacuee:
    """An instance on a host that is to be emptied, and what becomes of it.

    `target_id` is the host that one which MOVES goes to; `words` read on from the instance's name.
    `tally` counts the hosts that each rule kept one off which found none.
    """

    instance: Instance
    host_id: HostId
    fate: Fate
    words: str = ""
    target_id: HostId | None = None
    tally: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evacuation:
    """What a plan is asked for: to empty these hosts, together.

    `only` are the running instances that may be moved now, ``None`` for all. `refused_by` names
    hosts that did not do for an instance not long ago; others are preferred.
    """

    hosts: Collection[HostId]
    only: Collection[InstanceId] | None = None
    refused_by: Mapping[InstanceId, Collection[HostId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """Everything that the hosts have, each with its fate; moves in the order to make them.

    `books` are as they will be when every move has been made.
    """

    evacuees: tuple[Evacuee, ...]
    books: Books


def drain_plan(books: Books, ranking: Ranking, asked: Evacuation, policy: Policy) -> DrainPlan:
    """Say what becomes of everything on those hosts when they are emptied.

    `ranking` must be that of `books` and is the same again afterwards. The same question gets the
    same answer.
    """
    with closing(Draft(books, ranking, policy)) as draft:
        for key in asked.hosts:
            draft.enter(replace(books.hosts[key], draining=True), key)
        movers: list[Instance] = []
        named: list[Evacuee] = []
        for key in sorted(asked.hosts):
            for one in books.concerning(key):
                resting = _resting(one, books.hosts[key])
                if resting is not None:
                    named.append(resting)
                elif asked.only is None or one.id in asked.only:
                    movers.append(one)
        for one in movers:
            draft.enter(as_newcomer(one))
        placed = list(_placed(draft, movers, asked.refused_by))
        return DrainPlan((*placed, *named), draft.books)


def kept_off(made: DrainPlan, evacuee: Evacuee, policy: Policy) -> dict[HostId, list[Refusal]]:
    """For every other host, by id, all that keeps the instance off it once the plan is carried out.

    Hosts that are to be emptied themselves are told of too.
    """
    newcomer = as_newcomer(evacuee.instance)
    around = made.books.put(newcomer)
    others = sorted(key for key in around.hosts if key != evacuee.host_id)
    return {key: list(refusals(around, around.hosts[key], newcomer, policy)) for key in others}


def move_refusal(books: Books, instance: Instance, target: Host, policy: Policy) -> Refusal | None:
    """The first rule that keeps a running instance off the host it is to move to, if there is one.

    Whoever is to leave a host that is being emptied is no company there any more.
    """
    newcomer = as_newcomer(instance)
    around = _evacuated(books) if "near" in instance.hints else books
    return first_refusal(around.put(newcomer), target, newcomer, policy)


def as_newcomer(instance: Instance) -> Instance:
    """The instance as the rules of placement see one that is on no host yet."""
    return replace(instance, host_id=None, target_id=None)


def is_movable(instance: Instance, host: Host) -> bool:
    """Whether the instance could leave that host, if another would take it."""
    return _resting(instance, host) is None


def _evacuated(books: Books) -> Books:
    """The books without those who can leave the hosts that are being emptied."""
    for host in [one for one in books.hosts.values() if one.draining]:
        for one in list(books.concerning(host.id)):
            if is_movable(one, host):
                books = books.put(as_newcomer(one))
    return books


def _placed(
    draft: Draft,
    movers: Collection[Instance],
    refused_by: Mapping[InstanceId, Collection[HostId]],
) -> Iterator[Evacuee]:
    """Each of the movers with its new host, or with what kept it where it is."""
    ordered = sorted(movers, key=lambda one: (-one.memory, -one.cores, one.id))
    left = [one for one in ordered if "near" not in one.hints]
    following = [one for one in ordered if "near" in one.hints]
    while left or following:
        nowhere: list[tuple[Instance, Nowhere]] = []
        for one in left:
            found = draft.search(as_newcomer(one), refused_by.get(one.id, ()))
            if isinstance(found, Nowhere):
                nowhere.append((one, found))
            else:
                draft.enter(replace(one, host_id=found), found)
                yield Evacuee(one, _here(one), Fate.MOVES, target_id=found)
        # Whom a friend has gone ahead of may follow; the others stay, as company for their friends.
        ahead = len(nowhere) < len(left)
        for one, why in nowhere:
            if ahead and "near" in one.hints:
                following.append(one)
            else:
                draft.enter(one, _here(one))
                words = "is kept off every other host"
                yield Evacuee(one, _here(one), Fate.STAYS, words, tally=why.tally)
        left, following = following, []


_PASSING: Final = {
    _S.ACTIVATING: "is being started, and is moved after that",
    _S.RESUMING: "is being resumed, and is moved after that",
    _S.PAUSING: "is Pausing",
    _S.UNPAUSING: "is Unpausing, and is moved after that",
    _S.SUSPENDING: "is Suspending",
    _S.ALTERING: "is being altered, and is moved after that",
}
_LEAVING: Final = {
    _S.SHUTTING_DOWN: (
        "was asked to power off, and leaves when it does: destroyVm ends one that never does"
    ),
    _S.DESTROYING: "is being destroyed",
}


def _resting(one: Instance, host: Host) -> Evacuee | None:
    """What becomes of an instance that is not to be moved off the host; None: it is to be."""
    if not host.up:
        words = f"is {one.state.title}, and {host.name} is silent"
        return Evacuee(one, host.id, Fate.STAYS, words)
    if host.id not in one.hosts:
        return _at_rest(one, host)
    if one.target_id is not None or one.state is _S.MIGRATE_TRANS:
        return _crossing(one, host)
    if one.state in _PASSING:
        return Evacuee(one, host.id, Fate.LATER, _PASSING[one.state])
    if one.state in _LEAVING:
        return Evacuee(one, host.id, Fate.LEAVES, _LEAVING[one.state])
    if one.state is not _S.RUNNING:
        return Evacuee(one, host.id, Fate.STAYS, _stands_still(one))
    pinned = one.hints.get("targetHost") in names_of(host)
    if pinned and not flag(one.hints, "allowElsewhere"):
        words = f"is bound to {host.name} by its hint targetHost, without allowElsewhere"
        return Evacuee(one, host.id, Fate.STAYS, words)
    return None


def _crossing(one: Instance, host: Host) -> Evacuee:
    """An instance that is migrating, seen from one of its two hosts."""
    if one.host_id == host.id and one.target_id is not None:
        return Evacuee(one, host.id, Fate.LEAVES, "is on its way", one.target_id)
    return Evacuee(one, host.id, Fate.LATER, "is arriving, and is moved on after that")


def _at_rest(one: Instance, host: Host) -> Evacuee:
    """An instance of which the host only keeps something."""
    if one.disks_on != host.id:
        words = f"has left, and {host.name} clears away what it kept of it"
        return Evacuee(one, host.id, Fate.LEAVES, words)
    if facts(one.state).order is Order.STORE:
        words = f"is {one.state.title}, and its disks are being put into the image store"
        return Evacuee(one, host.id, Fate.LEAVES, words)
    words = (
        f"is {one.state.title}, and its disks are on {host.name}: stopVm puts them into the image "
        "store, and startVm then starts it on another host"
    )
    return Evacuee(one, host.id, Fate.STAYS, words)


def _stands_still(one: Instance) -> str:
    if one.state is _S.PAUSED:
        return "is Paused, and only what runs can be moved: it will be once unpauseVm lets it run"
    return f"is {one.state.title}, and nobody knows whether it runs"


def _here(one: Instance) -> HostId:
    assert one.host_id is not None, "What runs is somewhere."
    return one.host_id
