"""What hooks are told, and how often, while news of it is on its way back."""

from dataclasses import replace

import pytest

from examples import VERSION, waiting
from fakes.clock import HandTurnedClock
from fakes.cluster import FakeClusterManager
from fakes.hooks import FakeHook
from fakes.workers import HandWorkers
from tashi.domain.identity import HostId
from tashi.domain.journal import Kind
from tashi.domain.placement.filters import Policy
from tashi.domain.states import InstanceState
from tashi.scheduler.clerk import Clerk, Servers


@pytest.fixture
def clock() -> HandTurnedClock:
    return HandTurnedClock()


@pytest.fixture
def cluster() -> FakeClusterManager:
    return FakeClusterManager(Policy(version=VERSION))


@pytest.fixture
def workers(clock: HandTurnedClock) -> HandWorkers:
    return HandWorkers(clock)


@pytest.fixture
def notes() -> FakeHook:
    return FakeHook()


@pytest.fixture
def clerk(
    cluster: FakeClusterManager, notes: FakeHook, workers: HandWorkers, clock: HandTurnedClock
) -> Clerk:
    return Clerk(Servers(), (notes,), cluster, workers, clock)


def test_news_from_before_what_hooks_were_told_does_not_tell_them_again(
    clerk: Clerk, cluster: FakeClusterManager, notes: FakeHook, workers: HandWorkers
) -> None:
    begins = waiting(1)
    over = replace(begins, state=InstanceState.EXITED, announced=True, leftovers=(HostId(1),))
    cluster.put(begins)

    for record in (begins, replace(begins, cores=2)):
        clerk.serve(begins.id, record, lacks_nothing=True)
        workers.run_all()
    assert notes.told == ["preCreate i1"]

    cluster.put(over)
    for record in (over, replace(over, leftovers=())):
        clerk.serve(begins.id, record, lacks_nothing=True)
        workers.run_all()
    assert notes.told == ["preCreate i1", "postDestroy i1"]


def test_what_the_cluster_manager_did_not_hear_hooks_are_told_again(
    clerk: Clerk,
    cluster: FakeClusterManager,
    notes: FakeHook,
    workers: HandWorkers,
    clock: HandTurnedClock,
) -> None:
    cluster.put(waiting(1))
    cluster.silent = 1

    clerk.serve(waiting(1).id, waiting(1), lacks_nothing=True)
    workers.run_all()
    clock.turn(60)
    workers.run_all()

    assert notes.told == ["preCreate i1", "preCreate i1"]
    assert cluster.books.instance(waiting(1).id).announced


def destroyed_while_told(
    clerk: Clerk, cluster: FakeClusterManager, notes: FakeHook, workers: HandWorkers
) -> None:
    """Its owner destroys an instance of which hooks are just being told."""
    begins = waiting(1)
    cluster.put(begins)

    def destroy() -> None:
        notes.while_told = lambda: None
        cluster.drop(Kind.INSTANCE, begins.id)
        clerk.serve(begins.id, None, lacks_nothing=True)

    notes.while_told = destroy
    clerk.serve(begins.id, begins, lacks_nothing=True)
    workers.run_all()


def test_of_an_instance_destroyed_while_hooks_hear_of_it_they_hear_the_end(
    clerk: Clerk, cluster: FakeClusterManager, notes: FakeHook, workers: HandWorkers
) -> None:
    destroyed_while_told(clerk, cluster, notes, workers)

    assert notes.told == ["preCreate i1", "postDestroy i1"]


def test_they_hear_the_end_once_the_cluster_manager_speaks_again(
    clerk: Clerk,
    cluster: FakeClusterManager,
    notes: FakeHook,
    workers: HandWorkers,
    clock: HandTurnedClock,
) -> None:
    cluster.silent = 2
    destroyed_while_told(clerk, cluster, notes, workers)
    meanwhile = list(notes.told)

    for _ in range(10):
        clock.turn(60)
        workers.run_all()

    assert meanwhile == ["preCreate i1"]
    assert notes.told == ["preCreate i1", "postDestroy i1"]


def test_what_is_booked_although_no_answer_came_is_not_said_again(
    clerk: Clerk,
    cluster: FakeClusterManager,
    notes: FakeHook,
    workers: HandWorkers,
    clock: HandTurnedClock,
) -> None:
    begins = waiting(1)
    cluster.put(begins)
    cluster.silent = 1
    booked = replace(begins, announced=True)
    notes.while_told = lambda: clerk.serve(begins.id, booked, lacks_nothing=True)
    clerk.serve(begins.id, begins, lacks_nothing=True)
    workers.run_all()
    clerk.serve(begins.id, booked, lacks_nothing=True)

    cluster.drop(Kind.INSTANCE, begins.id)
    clock.turn(60)
    workers.run_all()

    assert notes.told == ["preCreate i1"]
