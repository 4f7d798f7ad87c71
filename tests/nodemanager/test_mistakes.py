"""Whatever nobody foresaw in carrying an order out: nothing is said of it that is not so."""

import pytest

from nodemanager.machine import Machine
from tashi.adapters.hypervisor.simulated import Ether, SimulatedHypervisor
from tashi.domain.identity import InstanceId
from tashi.domain.states import Order
from tashi.ports.hypervisor import GuestSpec, Opened, Running, unheeded

SEVEN = InstanceId(7)


class Mistaken(SimulatedHypervisor):
    """Does these things, and then makes a mistake, so many times."""

    def __init__(self, *things: str, times: int = 1, ether: Ether | None = None) -> None:
        super().__init__(ether=ether)
        self.times = dict.fromkeys(things, times)

    def start(self, spec: GuestSpec) -> Running:
        running = super().start(spec)
        self._err("start")
        return running

    def run(self, guest: InstanceId) -> Running:
        running = super().run(guest)
        self._err("run")
        return running

    def save(self, guest: InstanceId, to: str) -> None:
        super().save(guest, to)
        self._err("save")

    def send(self, guest: InstanceId, incoming: str) -> None:
        super().send(guest, incoming)
        self._err("send")

    def kill(self, guest: InstanceId) -> None:
        super().kill(guest)
        self._err("kill")

    def prepare_target(self, spec: GuestSpec, peer: str, opened: Opened = unheeded) -> str:
        door = super().prepare_target(spec, peer, opened)
        self._err("prepare")
        return door

    def _err(self, thing: str) -> None:
        if self.times.get(thing, 0) > 0:
            self.times[thing] -= 1
            raise OSError(28, "No space left on device")


def begun(*things: str, times: int = 1, ether: Ether | None = None) -> Machine:
    machine = Machine(hypervisor=Mistaken(*things, times=times, ether=ether))
    machine.begin()
    return machine


def received(machine: Machine, ether: Ether) -> None:
    """A guest arrives from a machine that does not say so."""
    source, ether.mute = SimulatedHypervisor("there", ether), True
    source.start(machine.spec())
    machine.tell(machine.order(Order.PREPARE_TARGET))
    source.send(SEVEN, machine.registrar.reports[-1].incoming)
    machine.tell(machine.order(Order.RUN))


def test_a_guest_that_was_let_run_has_arrived_whatever_went_wrong_then() -> None:
    ether = Ether()
    machine = begun("run", ether=ether)

    received(machine, ether)

    assert machine.reported() == ["TargetReady", "Arrived"]
    assert machine.hypervisor.running() == {SEVEN}


def test_of_a_guest_that_runs_no_end_is_told_when_the_mistake_is_made_again() -> None:
    ether = Ether()
    machine = begun("run", times=2, ether=ether)

    received(machine, ether)

    assert machine.reported() == ["TargetReady"]
    machine.restart()
    assert machine.reported() == ["TargetReady", "Arrived"]


def test_a_target_that_comes_to_nothing_after_its_door_was_told_is_told_of_and_is_no_more() -> None:
    machine = begun("prepare")

    machine.tell(machine.order(Order.PREPARE_TARGET))

    assert machine.reported() == ["TargetReady", "TargetFailed"]
    assert machine.registrar.reports[1].words == "The node made a mistake; its log says more."
    assert machine.hypervisor.kept() == set()


@pytest.mark.parametrize("record", [{}, {"disks_on": 1}], ids=["fresh", "on its disks"])
def test_a_start_has_failed_only_once_nothing_runs(record: dict[str, int]) -> None:
    hypervisor = Mistaken()
    machine = Machine(hypervisor=hypervisor)
    machine.begin()
    machine.insist(machine.order(Order.START))
    hypervisor.power_off(SEVEN)
    machine.settle()
    hypervisor.times["start"] = 1

    machine.tell(machine.order(Order.START, attempt=2, **record))

    assert machine.reported() == ["Started", "GuestEnded", "StartFailed"]
    assert machine.hypervisor.running() == set()
    assert machine.hypervisor.kept() == ({SEVEN} if record else set())


def test_memory_that_is_kept_is_not_said_to_be_lost() -> None:
    machine = begun("save")
    machine.insist(machine.order(Order.START))

    machine.tell(order := machine.order(Order.SAVE))
    assert machine.reported() == ["Started"]
    machine.tell(order)

    assert machine.reported() == ["Started", "Saved"]
    assert machine.registrar.reports[-1].saved == f"7-{order.operation}"


def test_a_guest_that_has_left_is_not_said_to_run_here() -> None:
    ether = Ether()
    machine = begun("send", ether=ether)
    target = SimulatedHypervisor("there", ether)
    machine.insist(machine.order(Order.START))

    door = target.prepare_target(machine.spec(), "here")
    machine.tell(machine.order(Order.SEND, incoming=door))

    assert machine.reported() == ["Started"]
    machine.restart()
    assert machine.reported() == ["Started", "SourceLeft"]
    assert target.running() == {SEVEN}


def test_a_guest_that_may_run_is_killed_when_that_is_asked_again() -> None:
    machine = begun("start", "kill")

    machine.tell(machine.order(Order.START))
    assert machine.reported() == []
    machine.insist(machine.order(Order.KILL))

    assert machine.reported() == ["GuestEnded"]
    assert machine.hypervisor.kept() == set()
