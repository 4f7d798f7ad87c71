"""The scheduler's mind: what it proposes after what it has heard."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from examples import VERSION, a_host, held, hinting, running, waiting
from tashi.domain.books import books_of
from tashi.domain.catalogue import User
from tashi.domain.identity import EventNumber, UserId
from tashi.domain.instance import Disk
from tashi.domain.journal import Change, Drop, Entry, Kind, Put, Record
from tashi.domain.placement.draft import booked
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.domain.states import InstanceState
from tashi.scheduler.agent import Agent

POLICY = Policy(version=VERSION)


@pytest.fixture
def agent() -> Agent:
    return Agent(POLICY)


def hear(agent: Agent, *changes: Change | Record, now: float = 0.0) -> None:
    entries = [
        Entry(EventNumber(1), 0.0, "", "test", one if isinstance(one, Put | Drop) else Put(one))
        for one in changes
    ]
    agent.heard(entries, now)


def where(proposals: Iterable[Proposal]) -> dict[int, int]:
    return {one.instance_id: one.host_id for one in proposals}


def accept(agent: Agent, proposals: Iterable[Proposal], now: float = 0.0) -> None:
    agent.answered([Verdict(one.instance_id, accepted=True) for one in proposals], now)


def refuse(agent: Agent, proposals: Iterable[Proposal], now: float = 0.0) -> None:
    agent.answered([Verdict(one.instance_id, accepted=False, words="no") for one in proposals], now)


def test_an_agent_that_knows_nothing_waits_for_news(agent: Agent) -> None:
    assert agent.tick(0.0) == ()
    assert agent.wait_seconds(0.0) is None


def test_what_waits_in_the_books_is_proposed(agent: Agent) -> None:
    agent.begin(books_of([a_host(), waiting(1), running(waiting(2))]), now=0.0)

    assert where(agent.tick(0.0)) == {1: 1}


def test_what_comes_in_is_proposed(agent: Agent) -> None:
    hear(agent, a_host(), waiting(1))

    assert agent.wait_seconds(0.0) == 0.0
    assert where(agent.tick(0.0)) == {1: 1}


def test_a_proposal_is_made_again_until_it_is_answered(agent: Agent) -> None:
    hear(agent, a_host(), waiting(1))

    assert agent.tick(0.0) == agent.tick(1.0) != ()


def test_the_room_of_an_accepted_placement_is_not_given_away_before_its_event_comes(
    agent: Agent,
) -> None:
    hear(agent, a_host(memory=1024), waiting(1))
    accept(agent, agent.tick(0.0))

    hear(agent, waiting(2))

    assert agent.tick(0.0) == ()
    assert agent.wait_seconds(0.0) is None


def test_the_event_of_an_accepted_placement_changes_nothing(agent: Agent) -> None:
    hear(agent, a_host(memory=2048), waiting(1))
    proposals = agent.tick(0.0)
    accept(agent, proposals)

    hear(agent, booked(waiting(1), proposals[0].host_id), waiting(2), waiting(3))

    assert where(agent.tick(0.0)) == {2: 1}


def test_a_user_who_was_served_lets_the_others_go_first(agent: Agent) -> None:
    hear(agent, a_host(memory=1024), waiting(1, user=1), waiting(2, user=1), waiting(3, user=2))
    accept(agent, agent.tick(0.0))

    hear(agent, Drop(Kind.INSTANCE, 1))

    assert where(agent.tick(0.0)) == {3: 1}


def test_what_fits_nowhere_costs_nothing_until_room_is_made(agent: Agent) -> None:
    hear(agent, a_host(memory=1024), running(waiting(9)), waiting(1))

    assert agent.tick(0.0) == ()
    assert [one.instance.id for one in agent.unplaced] == [1]
    assert agent.wait_seconds(0.0) is None

    hear(agent, User(UserId(1), "alice"), replace(running(waiting(9)), state=InstanceState.PAUSED))
    assert agent.wait_seconds(0.0) is None


@pytest.mark.parametrize(
    "change",
    [
        Drop(Kind.INSTANCE, 9),
        replace(running(waiting(9)), state=InstanceState.EXITED, host_id=None, vm_id=None),
        running(waiting(9), host=2),
        a_host(memory=4096),
    ],
)
def test_what_fits_nowhere_is_tried_again_when_room_is_made(
    agent: Agent, change: Change | Record
) -> None:
    hear(agent, a_host(memory=1024), running(waiting(9)), waiting(1))
    agent.tick(0.0)

    hear(agent, change)

    assert agent.wait_seconds(0.0) == 0.0
    assert where(agent.tick(0.0)) == {1: 1}


def test_a_disk_that_is_let_go_is_room_too(agent: Agent) -> None:
    disks = (Disk("db.qcow2", persistent=True),)
    holder = replace(waiting(9), disks=disks, state=InstanceState.SUSPENDED, saved="suspend/9")
    hear(agent, a_host(), holder, replace(waiting(1), disks=disks))
    assert agent.tick(0.0) == ()

    hear(agent, Drop(Kind.INSTANCE, 9))

    assert where(agent.tick(0.0)) == {1: 1}


def test_a_host_that_is_gone_is_not_proposed(agent: Agent) -> None:
    hear(agent, a_host(1), a_host(2, memory=1024), waiting(1))

    hear(agent, Drop(Kind.HOST, 1))

    assert where(agent.tick(0.0)) == {1: 2}


def test_who_wants_to_be_near_is_tried_again_when_somebody_is_placed(agent: Agent) -> None:
    hear(agent, a_host(1), a_host(2), hinting(waiting(1), near="group:web"))
    assert agent.tick(0.0) == ()

    hear(agent, running(waiting(9, group="web"), host=2))

    assert where(agent.tick(0.0)) == {1: 2}


def test_a_refused_proposal_is_planned_anew_after_the_next_news(agent: Agent) -> None:
    hear(agent, a_host(1), a_host(2, memory=2048), waiting(1))
    refuse(agent, agent.tick(0.0))
    assert agent.tick(0.0) == ()

    hear(agent, replace(a_host(1), up=False))

    assert where(agent.tick(0.0)) == {1: 2}


def test_another_host_is_proposed_after_a_refusal_that_nothing_explains(agent: Agent) -> None:
    hear(agent, a_host(1), a_host(2, memory=2048), waiting(1))
    refuse(agent, agent.tick(0.0))

    assert agent.wait_seconds(0.0) == 1.0
    assert where(agent.tick(1.0)) == {1: 2}


def test_what_failed_to_start_is_left_alone_for_growing_pauses(agent: Agent) -> None:
    hear(agent, a_host(), held(1, tries=1), now=0.0)
    assert agent.tick(0.9) == ()
    assert where(agent.tick(1.0)) == {1: 1}

    hear(agent, held(1, tries=2), now=10.0)
    assert agent.tick(11.9) == ()
    assert agent.wait_seconds(11.0) == 1.0
    assert where(agent.tick(12.0)) == {1: 1}


def test_one_that_crashes_again_and_again_is_left_alone_too(agent: Agent) -> None:
    hear(agent, a_host(), replace(waiting(1), tries=4))

    assert agent.tick(7.9) == ()
    assert where(agent.tick(8.0)) == {1: 1}


def test_what_is_destroyed_meanwhile_is_not_proposed(agent: Agent) -> None:
    hear(agent, a_host(), waiting(1), held(2))

    hear(agent, Drop(Kind.INSTANCE, 1), replace(held(2), state=InstanceState.STOPPED))

    assert agent.tick(100.0) == ()


def test_a_late_verdict_about_what_was_destroyed_is_passed_over(agent: Agent) -> None:
    hear(agent, a_host(), waiting(1), waiting(2))
    proposals = agent.tick(0.0)
    hear(agent, Drop(Kind.INSTANCE, 1), Drop(Kind.INSTANCE, 2))

    accept(agent, proposals[:1])
    refuse(agent, [*proposals[1:], Proposal(waiting(77).id, a_host().id)])

    assert agent.tick(100.0) == ()


def test_a_snapshot_replaces_all_that_was_known(agent: Agent) -> None:
    hear(agent, a_host(1), waiting(1))

    agent.begin(books_of([a_host(2), waiting(2)]), now=0.0)

    assert where(agent.tick(0.0)) == {2: 2}


def test_a_host_on_which_a_start_failed_is_tried_after_the_others_for_a_while(
    agent: Agent,
) -> None:
    hear(agent, a_host(1, memory=9000), a_host(2), waiting(1))
    first = agent.tick(0.0)
    accept(agent, first)
    hear(agent, booked(waiting(1), a_host(1).id))
    hear(agent, held(1), waiting(2), now=0.0)

    second = agent.tick(1.0)
    accept(agent, second, now=1.0)
    hear(agent, waiting(3), now=61.0)
    later = agent.tick(61.0)

    assert where(first) == {1: 1}
    assert where(second) == {1: 2, 2: 2}
    assert where(later) == {3: 1}


def test_a_host_on_which_a_start_failed_is_tried_when_there_is_no_other(agent: Agent) -> None:
    hear(agent, a_host(1), waiting(1))
    accept(agent, agent.tick(0.0))
    hear(agent, booked(waiting(1), a_host(1).id), held(1))

    assert where(agent.tick(1.0)) == {1: 1}
