"""What every hypervisor promises of guests that move to another machine, held against each.

Two machines with the same images: most guests here stay in their firmware on the way.
"""

from collections.abc import Callable

import pytest

from contracts.machines import (
    PEER,
    Heard,
    Machine,
    a_spec,
)
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found, Happening, Hypervisor, News

SEVEN = InstanceId(7)


@pytest.fixture
def here(machine: Machine) -> Machine:
    return machine


@pytest.fixture
def source(here: Machine, opened: Callable[[Machine], Hypervisor]) -> Hypervisor:
    return opened(here)


@pytest.fixture
def target(there: Machine, opened: Callable[[Machine], Hypervisor]) -> Hypervisor:
    return opened(there)


def found(hypervisor: Hypervisor) -> list[Found]:
    return [one.found for one in hypervisor.adopt()]


def test_a_guest_moves_and_runs_on_the_target_only(
    source: Hypervisor, target: Hypervisor, heard: Heard
) -> None:
    source.start(a_spec())

    incoming = target.prepare_target(a_spec(), PEER)
    waiting = found(target)
    source.send(SEVEN, incoming)
    arrived = heard.next()

    assert waiting == [Found.RECEIVING]
    assert (found(source), found(target)) == ([Found.LEFT], [Found.RUNNING])
    assert [one.running for one in target.adopt()] == [arrived.running]
    assert arrived == News(SEVEN, Happening.ARRIVED, incoming=incoming, running=arrived.running)
    assert heard.nothing


def test_a_guest_that_is_not_heard_to_have_left_runs_when_its_target_is_told(
    here: Machine, source: Hypervisor, target: Hypervisor, heard: Heard
) -> None:
    source.start(a_spec())

    source.send(SEVEN, here.unheard(target.prepare_target(a_spec(), PEER)))
    crossed = (found(source), found(target))
    running = target.run(SEVEN)

    assert crossed == ([Found.LEFT], [Found.RECEIVING])
    assert [one.running for one in target.adopt()] == [running]
    assert found(source) == [Found.LEFT]
    assert heard.nothing


def test_where_a_guest_is_to_be_sent_is_told_at_once(target: Hypervisor) -> None:
    told: list[str] = []

    incoming = target.prepare_target(a_spec(), PEER, told.append)

    assert told == [incoming]


def test_no_two_doors_are_alike(target: Hypervisor) -> None:
    first = target.prepare_target(a_spec(), PEER)
    target.kill(SEVEN)
    target.clear(SEVEN)

    assert target.prepare_target(a_spec(), PEER) != first


def test_a_guest_that_runs_already_may_be_told_to_run_again(
    source: Hypervisor, target: Hypervisor
) -> None:
    source.start(a_spec())
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))

    assert target.run(SEVEN) == target.run(SEVEN)


def test_a_guest_that_has_left_obeys_no_more_and_can_be_cleared_away(
    source: Hypervisor, target: Hypervisor
) -> None:
    source.start(a_spec())
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))

    with pytest.raises(NoSuchVm):
        source.unpause(SEVEN)
    with pytest.raises(NoSuchVm):
        source.run(SEVEN)
    source.kill(SEVEN)
    killed = found(source)
    source.clear(SEVEN)

    assert killed == [Found.LEFT]
    assert found(source) == []


def test_a_guest_that_has_not_arrived_does_not_run(source: Hypervisor, target: Hypervisor) -> None:
    source.start(a_spec())
    target.prepare_target(a_spec(), PEER)

    with pytest.raises(HypervisorFailed, match="Not all of the guest has arrived"):
        target.run(SEVEN)
    with pytest.raises(NoSuchVm):
        target.unpause(SEVEN)

    assert (found(source), found(target)) == ([Found.RUNNING], [Found.RECEIVING])


def test_what_nobody_prepared_for_does_not_run(target: Hypervisor) -> None:
    with pytest.raises(NoSuchVm):
        target.run(SEVEN)


def test_what_is_not_here_is_not_sent(source: Hypervisor, target: Hypervisor) -> None:
    incoming = target.prepare_target(a_spec(), PEER)

    with pytest.raises(NoSuchVm):
        source.send(SEVEN, incoming)


def test_a_target_that_is_not_needed_is_killed_and_cleared_away(target: Hypervisor) -> None:
    target.prepare_target(a_spec(), PEER)

    target.kill(SEVEN)
    target.clear(SEVEN)

    assert found(target) == []


def test_a_guest_whose_target_is_gone_runs_on(
    source: Hypervisor, target: Hypervisor, heard: Heard
) -> None:
    source.start(a_spec())
    incoming = target.prepare_target(a_spec(), PEER)
    target.kill(SEVEN)
    target.clear(SEVEN)

    with pytest.raises(HypervisorFailed):
        source.send(SEVEN, incoming)

    assert found(source) == [Found.RUNNING]
    assert heard.nothing


def test_a_guest_whose_move_failed_can_be_moved_and_saved(
    source: Hypervisor, target: Hypervisor
) -> None:
    source.start(a_spec())
    incoming = target.prepare_target(a_spec(), PEER)
    target.kill(SEVEN)
    target.clear(SEVEN)
    with pytest.raises(HypervisorFailed):
        source.send(SEVEN, incoming)

    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    target.run(SEVEN)
    target.save(SEVEN, "7-1")

    assert (found(source), found(target)) == ([Found.LEFT], [Found.GONE])


def test_a_guest_moves_there_and_back(source: Hypervisor, target: Hypervisor) -> None:
    source.start(a_spec())
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    target.run(SEVEN)
    source.kill(SEVEN)
    source.clear(SEVEN)

    target.send(SEVEN, source.prepare_target(a_spec(), PEER))
    source.run(SEVEN)

    assert (found(source), found(target)) == ([Found.RUNNING], [Found.LEFT])


def test_cancelling_when_nothing_is_sent_does_no_harm(
    source: Hypervisor, target: Hypervisor
) -> None:
    source.cancel(SEVEN, "")
    source.start(a_spec())
    source.cancel(SEVEN, "")
    source.cancel(SEVEN, "another door")
    incoming = target.prepare_target(a_spec(), PEER)

    source.send(SEVEN, incoming)
    source.cancel(SEVEN, incoming)

    assert found(source) == [Found.LEFT]


def test_a_move_that_is_cancelled_before_it_begins_fails_and_the_next_does_not(
    source: Hypervisor, target: Hypervisor
) -> None:
    source.start(a_spec())
    first = target.prepare_target(a_spec(), PEER)

    source.cancel(SEVEN, first)
    with pytest.raises(HypervisorFailed, match="called back"):
        source.send(SEVEN, first)
    before = found(source)
    target.kill(SEVEN)
    target.clear(SEVEN)
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))

    assert before == [Found.RUNNING]
    assert found(source) == [Found.LEFT]


def test_a_guest_that_arrived_is_watched(
    there: Machine, source: Hypervisor, target: Hypervisor, heard: Heard
) -> None:
    source.start(a_spec())
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    arrived = heard.next().running

    assert arrived is not None
    there.crash(arrived)

    assert heard.next().what is Happening.ENDED


def test_a_move_outlives_both_node_managers(
    here: Machine,
    there: Machine,
    source: Hypervisor,
    target: Hypervisor,
    opened: Callable[[Machine], Hypervisor],
) -> None:
    source.start(a_spec())
    source.send(SEVEN, here.unheard(target.prepare_target(a_spec(), PEER)))
    source.close()
    target.close()

    old, new = opened(here), opened(there)
    remembered = (found(old), found(new))
    running = new.run(SEVEN)

    assert remembered == ([Found.LEFT], [Found.RECEIVING])
    assert [one.running for one in new.adopt()] == [running]
