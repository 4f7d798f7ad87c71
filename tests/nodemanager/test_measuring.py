"""What guests use is looked at in time, one look at a time, and told of those that are here."""

from collections.abc import Sequence

from nodemanager.machine import Machine
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Stats
from tashi.domain.states import Order
from tashi.ports.hypervisor import Counters


class Deaf(SimulatedHypervisor):
    """A hypervisor that cannot count for a while; it remembers how often it was asked to."""

    deaf = False
    asked = 0

    def counters(self) -> Sequence[Counters]:
        self.asked += 1
        if self.deaf:
            raise HypervisorFailed("This program is ending.")
        return super().counters()


def a_machine() -> Machine:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    return machine


def loads(machine: Machine) -> list[Stats]:
    return [one.stats for one in machine.registrar.told if one.stats is not None]


def test_what_a_guest_used_is_told_from_the_second_look_on() -> None:
    machine = a_machine()

    machine.let_pass(14)
    none_yet = loads(machine)
    machine.let_pass(3)

    assert none_yet == []
    [stats] = loads(machine)
    assert stats.seconds == 15.0
    assert 0 < stats.cpu_load < 1


def test_a_glimpse_is_of_the_last_operation_of_its_guest() -> None:
    machine = a_machine()
    pause = machine.order(Order.PAUSE)
    machine.tell(pause)

    machine.let_pass(31)

    assert {one.operation for one in machine.registrar.told} == {pause.operation}


def test_nothing_is_told_without_guests() -> None:
    machine = Machine()
    machine.begin()

    machine.let_pass(60)

    assert machine.registrar.told == []


def test_a_guest_that_ends_is_told_of_no_more() -> None:
    machine = a_machine()
    machine.let_pass(31)
    told = len(machine.registrar.told)
    assert told > 0

    machine.tell(machine.order(Order.KILL))
    machine.let_pass(60)

    assert len(machine.registrar.told) == told


def a_deaf_machine() -> tuple[Machine, Deaf]:
    machine = Machine()
    deaf = Deaf(now=machine.clock.monotonic)
    machine.hypervisor = deaf
    machine.restart()
    machine.tell(machine.order(Order.START))
    return machine, deaf


def test_a_look_that_fails_is_followed_by_the_next() -> None:
    machine, deaf = a_deaf_machine()
    deaf.deaf = True
    machine.let_pass(31)

    deaf.deaf = False
    machine.let_pass(31)

    assert loads(machine)


def test_looks_do_not_pile_up_behind_one_that_takes_long() -> None:
    machine, deaf = a_deaf_machine()

    for _ in range(100):
        machine.clock.turn(15.0)
        machine.manager.tick()
    machine.workers.run_all()

    assert deaf.asked == 1
