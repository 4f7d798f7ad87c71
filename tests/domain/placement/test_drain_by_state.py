"""What becomes of each instance on a host that is emptied, by its state, and what is advised."""

import re
from dataclasses import replace

import pytest

from examples import VERSION, a_host, running, waiting
from tashi.domain import typed
from tashi.domain.books import books_of
from tashi.domain.identity import HostId
from tashi.domain.instance import Instance
from tashi.domain.placement.drain import Evacuation, Evacuee, drain_plan
from tashi.domain.placement.fate import Fate
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import InstanceState as S
from tashi.domain.states import facts
from tashi.domain.transitions import RULES, commands_in

FATES = {
    Fate.MOVES: {S.RUNNING},
    Fate.LEAVES: {S.MIGRATE_PREP, S.SHUTTING_DOWN, S.DESTROYING},
    Fate.LATER: {
        S.ACTIVATING,
        S.RESUMING,
        S.MIGRATE_TRANS,
        S.PAUSING,
        S.UNPAUSING,
        S.SUSPENDING,
        S.ALTERING,
    },
    Fate.STAYS: {S.PAUSED, S.ORPHANED},
}


def in_state(state: S) -> Instance:
    """An instance in that state: on host 1 if it is on one, else with its disks there."""
    hosts = min(facts(state).hosts - {0}, default=0)
    return replace(
        running(waiting(1)),
        state=state,
        host_id=HostId(1) if hosts else None,
        target_id=HostId(2) if hosts > 1 else None,
        disks_on=None if hosts else HostId(1),
    )


def planned(one: Instance) -> Evacuee:
    """What becomes of it when host 1 is emptied, beside which there is an empty host 2."""
    books, policy = books_of([a_host(1), a_host(2), one]), Policy(version=VERSION)
    made = drain_plan(books, Ranking(books, policy), Evacuation([HostId(1)]), policy)
    (found,) = made.evacuees
    return found


@pytest.mark.parametrize(
    "state", [state for state in S if facts(state).hosts - {0}], ids=lambda one: one.title
)
def test_what_becomes_of_each_that_is_on_a_host_follows_from_its_state(state: S) -> None:
    found = planned(in_state(state))

    assert state in FATES[found.fate]
    assert bool(found.words) == (state is not S.RUNNING)
    assert ("nobody knows" in found.words) == (state is S.ORPHANED)


@pytest.mark.parametrize("state", sorted(set(S) - {S.EXITED}), ids=lambda one: one.title)
def test_what_the_words_advise_is_allowed_one_verb_after_the_other(state: S) -> None:
    verbs = {typed.command(kind): kind for one in S for kind in commands_in(one)}
    short = "|".join(name.removesuffix("Vm") for name in verbs)

    words = planned(in_state(state)).words

    for said in re.findall(rf"\b(?:{short})(?:Vm)?\b", words):
        assert (state, verbs[said]) in RULES
        then = RULES[state, verbs[said]].then
        state = then if isinstance(then, S) else state


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        (S.STOPPED, Fate.LEAVES),
        (S.SUSPENDED, Fate.LEAVES),
        (S.PENDING, Fate.STAYS),
        (S.HELD, Fate.STAYS),
    ],
)
def test_what_has_its_disks_on_the_host_leaves_once_it_is_to_store_them(
    state: S, fate: Fate
) -> None:
    found = planned(in_state(state))

    assert found.fate is fate
    assert "image store" in found.words
