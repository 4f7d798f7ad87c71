"""Which moves the scheduler proposes so that hosts become empty, and when it tries again."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from examples import VERSION, a_host, hinting, running, waiting
from fakes.clock import HandTurnedClock
from fakes.cluster import FakeClusterManager
from tashi.domain.books import books_of
from tashi.domain.host import Host
from tashi.domain.identity import EventNumber, HostId
from tashi.domain.instance import Instance
from tashi.domain.journal import Entry, Put, Record
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.domain.states import InstanceState
from tashi.scheduler.agent import Agent
from tashi.scheduler.loop import Loop
from tashi.scheduler.queue import Pauses

POLICY = Policy(version=VERSION)


@pytest.fixture
def agent() -> Agent:
    return Agent(POLICY, Pauses(5.0, 60.0), moves_at_once=2)


def emptied(number: int = 1) -> Host:
    return replace(a_host(number), draining=True)


def moving(one: Instance, target: int) -> Instance:
    return replace(one, state=InstanceState.MIGRATE_PREP, target_id=HostId(target))


def hear(agent: Agent, *records: Record, now: float = 0.0) -> None:
    agent.heard([Entry(EventNumber(1), 0.0, "", "test", Put(one)) for one in records], now)


def where(proposals: Iterable[Proposal]) -> dict[int, int]:
    return {one.instance_id: one.host_id for one in proposals}


def answer(
    agent: Agent, proposals: Iterable[Proposal], *, accepted: bool, now: float = 0.0
) -> None:
    agent.moved([Verdict(one.instance_id, accepted) for one in proposals], now)


def test_nothing_is_moved_off_a_host_that_nobody_wants_empty(agent: Agent) -> None:
    agent.begin(books_of([a_host(1), a_host(2), running(waiting(1))]), now=0.0)

    assert agent.moves(0.0) == ()
    assert agent.wait_seconds(0.0) is None


def test_what_runs_on_a_host_to_be_emptied_is_moved_whether_read_or_heard_of(agent: Agent) -> None:
    agent.begin(books_of([emptied(1), a_host(2), running(waiting(1))]), now=0.0)
    read = where(agent.moves(0.0))
    agent.begin(books_of([a_host(1), a_host(2), running(waiting(1))]), now=0.0)
    hear(agent, emptied(1))

    assert read == {1: 2}
    assert where(agent.moves(0.0)) == {1: 2}


def test_only_a_few_moves_are_under_way_at_once(agent: Agent) -> None:
    ones = [running(waiting(number)) for number in range(1, 6)]
    agent.begin(books_of([emptied(1), a_host(2), *ones]), now=0.0)

    first = agent.moves(0.0)
    answer(agent, first, accepted=True)
    meanwhile = agent.moves(0.0), agent.wait_seconds(0.0)
    hear(agent, replace(ones[first[0].instance_id - 1], host_id=HostId(2)))

    assert len(first) == 2
    assert meanwhile == ((), None)
    assert len(agent.moves(0.0)) == 1


def test_moves_to_a_host_with_the_number_0_count_as_well(agent: Agent) -> None:
    leaving = [moving(running(waiting(number)), target=0) for number in (1, 2)]

    agent.begin(books_of([a_host(0), emptied(1), *leaving, running(waiting(3))]), now=0.0)

    assert agent.moves(0.0) == ()


def test_an_accepted_move_takes_its_room_before_anybody_else_hears_of_it(agent: Agent) -> None:
    agent.begin(books_of([emptied(1), a_host(2, memory=1024), running(waiting(1))]), now=0.0)
    answer(agent, agent.moves(0.0), accepted=True)
    hear(agent, waiting(2))

    assert agent.tick(0.0) == ()


def test_a_move_that_failed_is_tried_again_after_growing_pauses(agent: Agent) -> None:
    one = running(waiting(1))
    agent.begin(books_of([emptied(1), a_host(2), one]), now=0.0)
    hear(agent, moving(one, 2))
    hear(agent, one)
    first = agent.moves(4.9), agent.wait_seconds(0.0), where(agent.moves(5.0))
    hear(agent, moving(one, 2), now=5.0)
    hear(agent, one, now=5.0)

    assert first == ((), 5.0, {1: 2})
    assert agent.moves(14.9) == ()
    assert where(agent.moves(15.0)) == {1: 2}


def test_after_a_failure_another_host_is_tried_first(agent: Agent) -> None:
    one = running(waiting(1))
    agent.begin(books_of([emptied(1), a_host(2), a_host(3, memory=2048), one]), now=0.0)
    before = where(agent.moves(0.0))
    hear(agent, moving(one, 2))
    hear(agent, one)

    assert before == {1: 2}
    assert where(agent.moves(5.0)) == {1: 3}


def test_a_refused_move_is_looked_at_again_with_the_next_news(agent: Agent) -> None:
    agent.begin(books_of([emptied(1), a_host(2), running(waiting(1))]), now=0.0)
    answer(agent, agent.moves(0.0), accepted=False)
    before = agent.moves(0.0)

    hear(agent, a_host(3))

    assert before == ()
    assert where(agent.moves(0.0)) == {1: 3}


def test_one_that_no_host_takes_is_set_aside_until_room_is_made(agent: Agent) -> None:
    full: list[Record] = [emptied(1), a_host(2, memory=1024), running(waiting(2), 2)]
    agent.begin(books_of([*full, running(waiting(1))]), now=0.0)
    before = agent.moves(0.0), agent.wait_seconds(0.0)

    hear(agent, replace(waiting(2), state=InstanceState.EXITED))

    assert before == ((), None)
    assert where(agent.moves(0.0)) == {1: 2}


def test_one_that_stands_still_is_moved_once_it_runs_again(agent: Agent) -> None:
    one = running(waiting(1))
    paused = replace(one, state=InstanceState.PAUSED)
    agent.begin(books_of([emptied(1), a_host(2), paused]), now=0.0)
    before = agent.moves(0.0)

    hear(agent, one)

    assert before == ()
    assert where(agent.moves(0.0)) == {1: 2}


def test_one_that_arrives_on_a_host_to_be_emptied_is_moved_on(agent: Agent) -> None:
    one = running(waiting(1), 2)
    agent.begin(books_of([emptied(1), a_host(2), moving(one, 1)]), now=0.0)

    hear(agent, running(waiting(1), 1))

    assert where(agent.moves(0.0)) == {1: 2}


def test_when_the_wish_is_taken_back_nothing_more_is_moved(agent: Agent) -> None:
    agent.begin(books_of([emptied(1), a_host(2), running(waiting(1))]), now=0.0)

    hear(agent, a_host(1))

    assert agent.moves(0.0) == ()
    assert agent.wait_seconds(0.0) is None


def test_two_hosts_are_emptied_without_promising_a_third_twice(agent: Agent) -> None:
    agent.begin(
        books_of(
            [
                emptied(1),
                emptied(2),
                a_host(3, memory=1024),
                running(waiting(1), 1),
                running(waiting(2), 2),
            ]
        ),
        now=0.0,
    )

    assert list(where(agent.moves(0.0)).values()) == [3]


def test_a_friend_follows_once_the_first_has_gone_ahead() -> None:
    agent = Agent(POLICY, Pauses(5.0, 60.0), moves_at_once=1)
    leader = running(waiting(1, group="web"))
    friend = hinting(running(waiting(2)), near="group:web")
    agent.begin(books_of([emptied(1), a_host(2), a_host(3), leader, friend]), now=0.0)
    first = agent.moves(0.0)
    answer(agent, first, accepted=True)
    (target,) = where(first).values()

    hear(agent, running(waiting(1, group="web"), target))

    assert where(first) == {1: target}
    assert where(agent.moves(0.0)) == {2: target}


def test_a_silent_host_is_left_alone_until_it_is_back(agent: Agent) -> None:
    one = running(waiting(1))
    lost = replace(one, state=InstanceState.ORPHANED, was=InstanceState.RUNNING)
    agent.begin(books_of([replace(emptied(1), up=False), a_host(2), lost]), now=0.0)
    before = agent.moves(0.0)

    hear(agent, emptied(1), one)

    assert before == ()
    assert where(agent.moves(0.0)) == {1: 2}


def test_a_loop_moves_everything_and_then_only_listens() -> None:
    cluster, clock = FakeClusterManager(POLICY), HandTurnedClock()
    loop = Loop(Agent(POLICY), cluster, clock)
    cluster.put(emptied(1), a_host(2), *(running(waiting(number)) for number in (1, 2, 3)))

    loop.turn()
    for number in (1, 2):
        cluster.put(running(waiting(number), 2))
    loop.turn()
    loop.turn()

    assert [len(batch) for batch in cluster.moves] == [2, 1]
