"""The loop between the agent and a cluster manager that may be silent or forgetful."""

from dataclasses import replace

import pytest

from examples import VERSION, a_host, held, running, waiting
from fakes.clock import HandTurnedClock
from fakes.cluster import FakeClusterManager
from tashi.domain.errors import (
    BadRequest,
    NotLoggedIn,
    NotPermitted,
    PeerSilent,
    TashiError,
    VersionMismatch,
)
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.journal import Kind
from tashi.domain.placement.filters import Policy
from tashi.domain.states import InstanceState
from tashi.scheduler.agent import Agent
from tashi.scheduler.loop import LONGEST_LISTEN_SECONDS, MOST_AT_ONCE, Loop

POLICY = Policy(version=VERSION)


@pytest.fixture
def cluster() -> FakeClusterManager:
    return FakeClusterManager(POLICY)


@pytest.fixture
def clock() -> HandTurnedClock:
    return HandTurnedClock()


@pytest.fixture
def loop(cluster: FakeClusterManager, clock: HandTurnedClock) -> Loop:
    return Loop(Agent(POLICY), cluster, clock)


def placed(cluster: FakeClusterManager) -> dict[int, int | None]:
    return {one.id: one.host_id for one in cluster.books.visible()}


def test_what_waits_at_the_start_is_placed_in_the_first_turn(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(), waiting(1), waiting(2))

    assert loop.turn() == 0.0

    assert placed(cluster) == {1: 1, 2: 1}
    assert len(cluster.batches) == 1


def test_what_comes_later_is_placed_in_the_turn_that_hears_of_it(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host())
    loop.turn()
    cluster.put(waiting(1))

    loop.turn()

    assert placed(cluster) == {1: 1}
    assert cluster.snapshots == 1


def test_a_loop_with_nothing_to_do_listens_and_asks_for_nothing_else(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(), waiting(1, memory=10**6))

    for _ in range(3):
        loop.turn()

    assert cluster.timeouts == [LONGEST_LISTEN_SECONDS] * 2
    assert cluster.batches == []


def test_the_loop_listens_no_longer_than_until_the_next_is_due(
    loop: Loop, cluster: FakeClusterManager, clock: HandTurnedClock
) -> None:
    cluster.put(a_host(), held(1, tries=3))
    loop.turn()
    clock.turn(1.0)

    loop.turn()
    clock.turn(3.0)
    loop.turn()

    assert cluster.timeouts == [3.0, 0.0]
    assert placed(cluster) == {1: 1}


def test_a_silent_cluster_manager_is_asked_again_after_growing_pauses(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host())
    loop.turn()
    cluster.silent = 3

    pauses = [loop.turn() for _ in range(3)]

    assert pauses == [0.5, 1.0, 2.0]
    assert loop.is_stale


def test_a_cluster_manager_that_speaks_again_is_followed_from_where_it_fell_silent(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host())
    loop.turn()
    cluster.silent = 1
    loop.turn()
    cluster.put(waiting(1))

    assert loop.turn() == 0.0

    assert not loop.is_stale
    assert placed(cluster) == {1: 1}
    assert cluster.snapshots == 1


def test_a_loop_that_starts_before_the_cluster_manager_waits_for_it(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.silent = 1

    assert loop.turn() == 0.5
    assert loop.turn() == 0.0
    assert cluster.snapshots == 1


def test_an_answer_that_was_lost_on_its_way_places_nothing_twice(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(), waiting(1))
    cluster.silent_after_placing = 1
    assert loop.turn() == 0.5

    loop.turn()

    assert placed(cluster) == {1: 1}
    assert len(cluster.batches) == 1


def test_proposals_that_never_arrived_are_made_again(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host())
    loop.turn()
    cluster.put(waiting(1))
    cluster.deaf_to_places = 2

    assert [loop.turn(), loop.turn(), loop.turn()] == [0.5, 1.0, 0.0]
    assert placed(cluster) == {1: 1}


def test_a_loop_that_fell_behind_reads_everything_anew(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host())
    loop.turn()
    cluster.put(waiting(1))
    cluster.forget()

    assert loop.turn() == 0.0
    loop.turn()

    assert cluster.snapshots == 2
    assert placed(cluster) == {1: 1}


def test_a_refused_proposal_is_made_for_another_host_once_the_news_is_read(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(1), a_host(2, memory=2048))
    loop.turn()
    cluster.put(waiting(1))
    cluster.before_placing = [replace(a_host(1), up=False)]

    loop.turn()
    assert placed(cluster) == {1: None}

    loop.turn()
    assert placed(cluster) == {1: 2}


def test_a_scheduler_with_another_idea_of_the_rules_still_places_where_it_may(
    cluster: FakeClusterManager, clock: HandTurnedClock
) -> None:
    generous = Loop(Agent(replace(POLICY, memory_overcommit=4.0)), cluster, clock)
    cluster.put(a_host(1, memory=1024), a_host(2, memory=2048), waiting(1), waiting(2), waiting(3))

    for _ in range(20):
        generous.turn()
        clock.turn(1.0)

    assert sorted(host or 0 for host in placed(cluster).values()) == [1, 2, 2]


def test_a_thousand_instances_that_fit_nowhere_do_not_keep_others_waiting(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(), *(waiting(number, memory=10**6) for number in range(1, 1001)))
    loop.turn()
    cluster.put(waiting(2000))

    loop.turn()

    assert cluster.books.instance(InstanceId(2000)).host_id == HostId(1)


def test_a_full_cluster_serves_everybody_in_turn_as_places_come_free(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    cluster.put(a_host(cores=1))
    cluster.put(*(waiting(number, user=1) for number in range(1, 6)))
    cluster.put(*(waiting(number, user=2) for number in (6, 7)))

    served = [serve_one(loop, cluster) for _ in range(7)]

    assert served == [1, 6, 2, 7, 3, 4, 5]


def serve_one(loop: Loop, cluster: FakeClusterManager) -> int:
    """Let the loop place one, say which, and end it."""
    loop.turn()
    (one,) = (each for each in cluster.books.visible() if each.state is InstanceState.ACTIVATING)
    cluster.put(running(one))
    cluster.drop(Kind.INSTANCE, one.id)
    return one.id


def test_more_than_one_batch_is_sent_without_waiting_in_between(
    loop: Loop, cluster: FakeClusterManager
) -> None:
    many = [waiting(number, memory=1) for number in range(1, 301)]
    cluster.put(a_host(cores=1000), *many)

    loop.turn()
    loop.turn()

    assert [len(batch) for batch in cluster.batches] == [256, 44]
    assert cluster.timeouts == [0.0]


@pytest.mark.parametrize("call", ["snapshot", "place"])
def test_a_call_that_is_refused_ends_nothing_and_is_made_again_after_growing_pauses(
    loop: Loop, cluster: FakeClusterManager, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.put(a_host(), waiting(1))
    cluster.mishaps[call] = [BadRequest("The request is too long.")] * 2

    pauses = [loop.turn() for _ in range(3)]

    assert pauses == [0.5, 1.0, 0.0]
    assert placed(cluster) == {1: 1}
    told = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert told == ["The cluster manager refuses a call: The request is too long."] * 2


@pytest.mark.parametrize("call", ["snapshot", "place"])
@pytest.mark.parametrize(
    "error", [NotPermitted("No."), NotLoggedIn("Who are you?"), VersionMismatch("Too old.")]
)
def test_a_scheduler_of_whom_nothing_is_heard_says_so(
    loop: Loop, cluster: FakeClusterManager, call: str, error: TashiError
) -> None:
    cluster.put(a_host(), waiting(1))
    cluster.mishaps[call] = [error]

    with pytest.raises(type(error)):
        loop.turn()


def test_moves_are_proposed_in_parts(loop: Loop, cluster: FakeClusterManager) -> None:
    number = MOST_AT_ONCE // 2 + 1
    sources = [replace(a_host(key), draining=True) for key in range(1, number + 1)]
    guests = [
        running(waiting(2 * key + one), key) for key in range(1, number + 1) for one in (0, 1)
    ]
    cluster.put(*sources, a_host(9999, cores=10**6, memory=10**9), *guests)

    loop.turn()

    assert [len(part) for part in cluster.moves] == [MOST_AT_ONCE, 2]


@pytest.mark.parametrize("ends", [False, True])
def test_a_silence_is_no_news_once_the_line_is_given_up(
    loop: Loop, cluster: FakeClusterManager, ends: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.mishaps["snapshot"] = [PeerSilent("Nobody answers.")]
    if ends:
        loop.end_soon()

    loop.turn()

    assert ("Nobody answers." in caplog.text) is not ends
