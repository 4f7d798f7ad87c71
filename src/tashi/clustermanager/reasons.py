"""Why an instance is where it is, in sentences for people: pure questions over the books."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from tashi.domain.books import Books
from tashi.domain.guest import Progress
from tashi.domain.hints import flag
from tashi.domain.host import Host
from tashi.domain.identity import HostId
from tashi.domain.instance import Instance
from tashi.domain.listings import duty_of
from tashi.domain.placement.drain import DrainPlan, Evacuation, Evacuee, drain_plan, kept_off
from tashi.domain.placement.fate import Fate
from tashi.domain.placement.filters import Policy, Refusal, closed_by, names_of, refusals
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import Phase, facts

Kept: TypeAlias = list[tuple[HostId, Sequence[Refusal]]]
"""Hosts, and what keeps something off each."""

_NAMED: Final = 3
_LISTED: Final = 20


def why(books: Books, instance: Instance, policy: Policy, progress: Progress | None) -> str:
    """What its state means, what it waits for or what its host's emptying means for it.

    `progress` is what its node said last of work that is under way.
    """
    return " ".join(
        (*_sentences(books, instance, policy), *_of_its_disks(books, instance, progress))
    )


def plan_to_empty(books: Books, key: HostId, policy: Policy) -> DrainPlan:
    """What emptying a host means, beside the hosts that are being emptied already."""
    emptied = {key, *(host.id for host in books.hosts.values() if host.draining)}
    return drain_plan(books, Ranking(books, policy), Evacuation(sorted(emptied)), policy)


def of_evacuee(made: DrainPlan, one: Evacuee, policy: Policy) -> str:
    """What becomes of an instance whose host is emptied; the words read on from its name."""
    if one.fate is Fate.MOVES and one.target_id is not None:
        return f"can move to {made.books.host(one.target_id).name}"
    if not one.tally:
        return one.words
    if len(made.books.hosts) == 1:
        return "has no other host to go to"
    words = _by_host(made.books, nearest(made, one, policy), len(made.books.hosts) - 1)
    return f"{one.words}: {words}" if words else one.words


def nearest(made: DrainPlan, one: Evacuee, policy: Policy) -> Kept:
    """The hosts that come nearest to taking it, and what keeps it off each; a few of many."""
    found = kept_off(made, one, policy).items()
    return _by_distance((key, rules) for key, rules in found if rules)[:_LISTED]


def _sentences(books: Books, instance: Instance, policy: Policy) -> Iterator[str]:
    yield f"{facts(instance.state).meaning}.".capitalize()
    if facts(instance.state).phase is Phase.WAITING:
        yield from _awaited(books, instance, policy)
    yield from _of_the_site(instance)
    host = None if instance.host_id is None else books.hosts.get(instance.host_id)
    if host is not None and host.draining:
        made = plan_to_empty(books, host.id, policy)
        found = [one for one in made.evacuees if one.instance.id == instance.id]
        words = [of_evacuee(made, one, policy) for one in found if one.host_id == host.id]
        yield f"Its host {host.name} is being emptied: it {'; '.join(words)}."
    if instance.reason:
        yield f"Last word: {instance.reason}"


def _of_its_disks(books: Books, instance: Instance, progress: Progress | None) -> Iterator[str]:
    """How far its disks are on their way into the image store, or what keeps them from it."""
    keeper = books.hosts.get(instance.disks_on) if instance.disks_on is not None else None
    if keeper is None or not instance.is_being_stored:
        return
    yield f"Its disks are on {keeper.name} and on their way into the image store."
    if progress is not None and progress.total:
        yield f"{min(progress.done / progress.total, 1.0):.0%} of them are there."
    elif progress is not None:
        yield progress.words


def _of_the_site(instance: Instance) -> Iterator[str]:
    """What keeps its names and addresses from the site's DNS and DHCP, or it from having some."""
    if instance.trouble:
        yield f"Its name and address: {instance.trouble}"
    elif facts(instance.state).phase is Phase.WAITING and duty_of(instance).enter:
        yield "The site's DNS and DHCP are being told of it."


def _awaited(books: Books, instance: Instance, policy: Policy) -> Iterator[str]:
    """That there is no host, that the only one that will do takes nobody, or that none takes it."""
    if not books.hosts:
        yield "No host has been added yet."
    keeper = None if instance.disks_on is None else books.hosts.get(instance.disks_on)
    if keeper is not None and (refusal := closed_by(keeper, policy)) is not None:
        yield f"It waits for {keeper.name}, which has its disks, but {refusal.words}."
        return
    wanted = None if flag(instance.hints, "allowElsewhere") else instance.hints.get("targetHost")
    for host in _called(books, wanted):
        if (refusal := closed_by(host, policy)) is not None:
            yield (
                f"It waits for {host.name}, the host asked for, which {refusal.words}; the hint "
                "allowElsewhere=True would let another do."
            )
            return

    found = [(key, refusals(books, one, instance, policy)) for key, one in books.hosts.items()]
    if found and all(rules for _, rules in found):
        yield f"No host takes it now: {_by_host(books, _by_distance(found), len(found))}."


def _by_host(books: Books, near: Kept, count: int) -> str:
    """What keeps something off the first of these hosts, which are some of `count`."""
    words = [f"{books.host(key).name} {found[0].words}" for key, found in near[:_NAMED]]
    others = count - len(words)
    return "; ".join([*words, f"and {others} more"] if words and others > 0 else words)


def _by_distance(kept: Iterable[tuple[HostId, Sequence[Refusal]]]) -> Kept:
    return sorted(kept, key=lambda pair: (*_distance(pair[1]), pair[0]))


def _called(books: Books, name: str | None) -> list[Host]:
    return [] if name is None else [one for one in books.hosts.values() if name in names_of(one)]


def _distance(found: Sequence[Refusal]) -> tuple[int, int]:
    """How far a host is from taking it: first those that are only short of room, by how much."""
    if any(one.short_by is None for one in found):
        return (len(found), 0)
    return (0, sum(one.short_by or 0 for one in found))
