"""A host for each of the waiting instances, as far as there is one.

Proposals of one plan never ask for the same room twice, since each is booked on a draft before the
next is looked for. What was learnt about an instance that fits nowhere is not learnt again for its
likes: ten thousand copies of it cost one search, and none of them stands in the way of the rest.

The two questions that people ask about the same rules are here too: how many more would fit
(`slots`), and why one does not (`why`).
"""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from tashi.domain.books import Books
from tashi.domain.engine import Hardware
from tashi.domain.errors import InvalidInstance
from tashi.domain.hints import peers
from tashi.domain.identity import HostId, InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Instance
from tashi.domain.placement.affinity import is_one_of
from tashi.domain.placement.draft import Draft, Nowhere
from tashi.domain.placement.filters import Policy, Refusal, Rule, first_refusal, refusals
from tashi.domain.placement.ranking import Ranking
from tashi.domain.placement.turns import in_turns

MOST_PROPOSALS: Final = 256
"""So many proposals go into one plan, so that the first need not wait for the last."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A host for a waiting instance."""

    instance_id: InstanceId
    host_id: HostId


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the cluster manager made of a proposal; `words` say why it was refused."""

    instance_id: InstanceId
    accepted: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An instance for which there is no host now, and how many hosts each rule keeps it off."""

    instance: Instance
    tally: Mapping[str, int]

    def __str__(self) -> str:
        hosts = sum(self.tally.values())
        reasons = ", ".join(f"{rule} {count}" for rule, count in sorted(self.tally.items()))
        return f"None of {hosts} hosts will do for {self.instance}: {reasons or 'there are none'}."


@dataclass(frozen=True, slots=True)
class Round:
    """What a plan is asked for: hosts for these waiting instances, so many at most.

    `served_last` is the user whose turn was last in the round before. `refused_by` names hosts for
    which a proposal was refused not long ago; others are preferred.
    """

    waiting: Collection[InstanceId]
    served_last: UserId | None = None
    most: int = MOST_PROPOSALS
    refused_by: Mapping[InstanceId, Collection[HostId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What came of a round; instances in neither list were not reached."""

    proposals: tuple[Proposal, ...]
    unplaced: tuple[Unplaced, ...]
    served_last: UserId | None


def plan(books: Books, ranking: Ranking, asked: Round, policy: Policy) -> Plan:
    """Propose hosts for waiting instances, in fair order; ids that do not wait are passed over.

    `ranking` must be that of `books` and is the same again afterwards. The same question gets the
    same answer.
    """
    hopeless = _Hopeless()
    proposals: list[Proposal] = []
    unplaced: list[Unplaced] = []
    served_last = asked.served_last
    waiting = (books.instances[key] for key in asked.waiting if key in books.waiting)
    with closing(Draft(books, ranking, policy)) as draft:
        for one in in_turns(waiting, asked.served_last):
            if len(proposals) == asked.most:
                break
            found = hopeless.search(draft, one, asked.refused_by.get(one.id, ()))
            if isinstance(found, Nowhere):
                unplaced.append(Unplaced(one, found.tally))
            else:
                draft.book(one, found)
                proposals.append(Proposal(one.id, found))
                served_last = one.user_id
    return Plan(tuple(proposals), tuple(unplaced), served_last)


def slots(books: Books, policy: Policy, cores: int, memory: int, user: UserId) -> int:
    """How many more instances of that size the user could have now; `memory` is in MiB.

    Raises InvalidInstance for a size below one core or one MiB.
    """
    if cores < 1 or memory < 1:
        raise InvalidInstance("Slots are counted for at least 1 core and 1 MiB of memory.")
    probe = Instance(
        id=InstanceId(0), name="", user_id=user, cores=cores, memory=Mib(memory), disks=()
    )
    count = 0
    for host in books.hosts.values():
        if first_refusal(books, host, probe, policy) is None:
            used = books.used(host.id)
            free_cores = policy.cores_of(host) - used.cores
            free_memory = policy.memory_of(host) - used.memory
            count += min(free_cores // cores, free_memory // memory)
    return count


def why(books: Books, instance: Instance, policy: Policy) -> dict[HostId, tuple[Refusal, ...]]:
    """For every host, by id, all that keeps the instance off it; nothing where it would fit."""
    return {key: refusals(books, books.hosts[key], instance, policy) for key in sorted(books.hosts)}


# ---- what fits nowhere, and its likes -----------------------------------------------------------

_PERSONAL: Final = frozenset({Rule.DISKS, Rule.ATTACHED, Rule.UNWELCOME})
"""Rules that refuse an instance for what only it is or has; they say nothing about its likes."""

_BINDING: Final = ("targetHost", "allowElsewhere", "near", "away")
"""The hints that the filters read."""

_Shape = tuple[UserId, str, frozenset[NetworkId], tuple[str | None, ...], bool, Hardware | None]


class _Hopeless:
    """Remembers, within one plan, which sizes of which shape fit nowhere."""

    def __init__(self) -> None:
        self._known: dict[_Shape, list[tuple[int, int, Nowhere]]] = {}

    def search(
        self, draft: Draft, one: Instance, refused_by: Collection[HostId]
    ) -> HostId | Nowhere:
        """What the draft finds, or found for an instance like this one that asked for no more."""
        known = self._known.setdefault(_shape(one), [])
        for cores, memory, nowhere in known:
            if cores <= one.cores and memory <= one.memory:
                return nowhere
        found = draft.search(one, refused_by)
        if isinstance(found, Nowhere) and _PERSONAL.isdisjoint(found.tally):
            known.append((one.cores, one.memory, found))
        return found


def _shape(one: Instance) -> _Shape:
    hints = tuple(map(one.hints.get, _BINDING))
    may_lead = "near" in one.hints and is_one_of(one, peers(one.hints, "near"))
    networks = frozenset(nic.network for nic in one.nics)
    # What goes on from its saved memory is bound to what it was booted on, and others are not.
    booted_on = None if one.saved is None else one.hardware
    return one.user_id, one.group_name, networks, hints, may_lead, booted_on
