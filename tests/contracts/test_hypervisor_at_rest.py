"""What every hypervisor promises of guests that are saved, and of disks that are stored."""

import pytest

from contracts.machines import Heard, Machine, a_spec
from tashi.domain.errors import HypervisorFailed, NoSuchImage, NoSuchVm, UnableToSuspend
from tashi.domain.identity import Attempt, InstanceId
from tashi.ports.hypervisor import Found, Hypervisor

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)


def test_a_saved_guest_is_gone_and_runs_again_when_restored(
    hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec())

    hypervisor.save(SEVEN, "7-1")
    [gone] = hypervisor.adopt()
    back = hypervisor.restore(a_spec(attempt=Attempt(2), keep_disks=True), "7-1")
    [found] = hypervisor.adopt()

    assert gone.found is Found.GONE
    assert (found.found, found.running) == (Found.RUNNING, back)
    assert heard.nothing


def test_saved_memory_is_used_once(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())
    hypervisor.save(SEVEN, "7-1")
    hypervisor.restore(a_spec(keep_disks=True), "7-1")
    hypervisor.kill(SEVEN)

    with pytest.raises(NoSuchImage):
        hypervisor.restore(a_spec(keep_disks=True), "7-1")


def test_stored_disks_are_gone_on_with_on_another_machine(
    machine: Machine, hypervisor: Hypervisor
) -> None:
    hypervisor.start(a_spec())
    hypervisor.kill(SEVEN)
    neighbour = machine.neighbour()
    other = neighbour.open()

    hypervisor.store(SEVEN, "7-1")
    hypervisor.store(SEVEN, "7-1")
    hypervisor.clear(SEVEN)
    other.start(a_spec(attempt=Attempt(2), stored="7-1"))
    [found] = other.adopt()
    other.kill(SEVEN)
    other.close()
    neighbour.close()

    assert found.found is Found.RUNNING
    assert list(hypervisor.adopt()) == []


def test_a_guest_is_restored_on_another_machine(machine: Machine, hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())
    hypervisor.save(SEVEN, "7-1")
    hypervisor.store(SEVEN, "7-1")
    hypervisor.clear(SEVEN)
    neighbour = machine.neighbour()
    other = neighbour.open()

    other.restore(a_spec(attempt=Attempt(2), stored="7-1"), "7-1")
    [found] = other.adopt()
    other.kill(SEVEN)
    other.close()
    neighbour.close()

    assert found.found is Found.RUNNING


def test_disks_of_a_guest_that_is_not_here_are_not_stored(hypervisor: Hypervisor) -> None:
    with pytest.raises(NoSuchVm):
        hypervisor.store(SEVEN, "7-1")


def test_disks_in_use_are_not_stored(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())

    with pytest.raises(HypervisorFailed):
        hypervisor.store(SEVEN, "7-1")


def test_memory_that_was_never_saved_is_not_restored(hypervisor: Hypervisor) -> None:
    with pytest.raises(NoSuchImage):
        hypervisor.restore(a_spec(), "7-1")

    assert list(hypervisor.adopt()) == []


def test_a_name_that_is_taken_is_not_saved_to(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec(7))
    hypervisor.start(a_spec(8))
    hypervisor.save(SEVEN, "7-1")

    with pytest.raises(UnableToSuspend):
        hypervisor.save(EIGHT, "7-1")

    assert [one.found for one in hypervisor.adopt()] == [Found.GONE, Found.RUNNING]


def test_a_guest_that_was_saved_before_is_saved(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())
    hypervisor.save(SEVEN, "7-1")

    hypervisor.save(SEVEN, "7-1")

    assert [one.found for one in hypervisor.adopt()] == [Found.GONE]


def test_saving_what_is_not_here_is_refused(hypervisor: Hypervisor) -> None:
    with pytest.raises(NoSuchVm):
        hypervisor.save(SEVEN, "7-1")
