"""A life on a disk that fills up, and under a program that dies, at any of its writes."""

import pytest

from nodemanager.machine import Machine, RationedNotebook
from tashi.domain.errors import StoreFailed
from tashi.domain.identity import InstanceId
from tashi.domain.states import Order

SEVEN = InstanceId(7)


def live(machine: Machine) -> None:
    """Everything that befalls one guest, with the cluster manager's patience."""
    machine.insist(machine.order(Order.START))
    machine.hypervisor.write(SEVEN)
    machine.insist(machine.order(Order.PAUSE))
    machine.insist(machine.order(Order.UNPAUSE))
    machine.hypervisor.freeze(SEVEN, "Its disk is full.")
    machine.let_pass(20)
    machine.insist(machine.order(Order.UNPAUSE))
    machine.insist(machine.order(Order.SAVE))
    saved = machine.registrar.reports[-1].saved
    machine.insist(machine.order(Order.RESTORE, attempt=2, disks_on=1, saved=saved))
    machine.hypervisor.power_off(SEVEN)
    machine.let_pass(20)
    machine.insist(machine.order(Order.FORGET, attempt=2))


LIFE = [
    *("Started", "PauseDone", "UnpauseDone", "SeenPaused", "UnpauseDone", "Saved"),
    *("Started", "GuestEnded", "Cleared"),
]
WRITES = 27
"""More than the notebook is written to in a life."""


def test_a_life_is_told_in_full() -> None:
    notebook = RationedNotebook()
    machine = Machine(notebook)
    machine.begin()

    live(machine)
    machine.let_pass(20)

    assert machine.reported() == LIFE
    assert notebook.pages() == {}
    assert notebook.writes < WRITES


@pytest.mark.parametrize("nth", range(1, WRITES))
@pytest.mark.parametrize("times", [1, 4])
def test_a_disk_that_is_full_at_any_moment_delays_and_changes_nothing(nth: int, times: int) -> None:
    machine = Machine(RationedNotebook(full_at=nth, times=times))
    machine.begin()
    machine.let_pass(20)

    live(machine)
    machine.let_pass(20)

    assert machine.reported() == LIFE
    assert machine.notebook.pages() == {}
    assert machine.hypervisor.kept() == set()


@pytest.mark.parametrize("nth", range(1, WRITES))
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_program_that_dies_at_any_write_is_taken_over_by_the_next(
    nth: int, *, before: bool
) -> None:
    machine = Machine(RationedNotebook(dies_at=nth, dies_before=before))
    machine.begin()

    live(machine)
    machine.let_pass(20)

    assert without_repeats(machine.reported()) == LIFE
    assert machine.notebook.pages() == {}
    assert machine.hypervisor.kept() == set()


@pytest.mark.parametrize(
    ("order", "outcome"), [(Order.KILL, "GuestEnded"), (Order.FORGET, "Cleared")]
)
def test_on_a_disk_that_stays_full_a_guest_is_ended_all_the_same(
    order: Order, outcome: str
) -> None:
    machine = Machine()
    machine.begin()
    machine.insist(machine.order(Order.START))
    machine.insist(machine.order(Order.START, guest=8))
    machine.notebook.is_full = True
    ended = machine.order(order)

    taken = machine.tell(ended)

    assert isinstance(taken.exception(0), StoreFailed)
    assert machine.hypervisor.kept() == {InstanceId(8)}
    assert machine.reported() == ["Started", "Started"]
    machine.notebook.is_full = False
    machine.insist(ended)
    assert machine.reported()[2:] == [outcome]


def test_a_kill_of_the_past_ends_nobody_on_a_full_disk() -> None:
    machine = Machine()
    machine.begin()
    late = machine.order(Order.KILL)
    machine.insist(machine.order(Order.START, attempt=2))
    machine.notebook.is_full = True

    machine.tell(late, machine.order(Order.PAUSE, attempt=2))

    assert machine.hypervisor.running() == {SEVEN}


def without_repeats(kinds: list[str]) -> list[str]:
    """A report whose acknowledgement died is made again; the cluster manager takes it as stale."""
    return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]
