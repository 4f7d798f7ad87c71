"""Disks go into the image store: again after a failure, and not when somebody else needs them."""

from itertools import pairwise

from fakes.clock import HandTurnedClock
from nodemanager.machine import Machine
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.guest import Progress
from tashi.domain.identity import InstanceId
from tashi.domain.states import Order
from tashi.nodemanager.storing import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS

SEVEN = InstanceId(7)
FULL = "No space left on device."


class Counting(SimulatedHypervisor):
    """One that notes when disks are stored, and for whom something is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandTurnedClock()
        self.tried: list[float] = []
        self.cancelled: list[InstanceId] = []

    def store(self, guest: InstanceId, to: str) -> None:
        self.tried.append(self.clock.monotonic())
        super().store(guest, to)

    def cancel(self, guest: InstanceId, what: str) -> None:
        self.cancelled.append(guest)


class Watched(Machine):
    """A machine with a guest that has ended, and an image store that is full."""

    def __init__(self) -> None:
        self.counts = Counting()
        super().__init__(hypervisor=self.counts)
        self.counts.clock = self.clock
        self.begin()
        self.tell(self.order(Order.START))
        self.hypervisor.power_off(SEVEN)
        self.hypervisor.store_fails = FULL
        self.settle()

    @property
    def tried(self) -> list[float]:
        return self.counts.tried

    def said(self) -> list[Progress]:
        return [one.progress for one in self.registrar.told if one.progress is not None]


def test_disks_that_do_not_fit_into_the_store_are_tried_again_until_they_do() -> None:
    machine = Watched()
    machine.tell(machine.order(Order.STORE))

    machine.let_pass(int(FIRST_PAUSE_SECONDS) + 1)
    machine.hypervisor.store_fails = ""
    machine.let_pass(int(2 * FIRST_PAUSE_SECONDS) + 1)

    assert machine.reported() == ["Started", "GuestEnded", "DisksStored"]
    assert len(machine.tried) == 3


def test_the_pauses_between_tries_grow_to_a_limit() -> None:
    machine = Watched()
    machine.tell(machine.order(Order.STORE))

    machine.let_pass(3000)

    pauses = [after - before for before, after in pairwise(machine.tried)]
    assert pauses[:3] == [10.0, 20.0, 40.0]
    assert set(pauses[6:]) == {LONGEST_PAUSE_SECONDS}


def test_people_are_told_what_is_the_matter_and_when_it_is_tried_again() -> None:
    machine = Watched()

    machine.tell(machine.order(Order.STORE))

    [said] = machine.said()
    assert said.words == f"{FULL} The next try comes 10 s after this one."


def test_an_order_that_is_repeated_is_a_try_that_begins_no_second_series() -> None:
    machine = Watched()
    order = machine.order(Order.STORE)
    machine.tell(order)

    machine.let_pass(5)
    machine.tell(order)
    machine.let_pass(27)

    begin = machine.tried[0]
    assert [at - begin for at in machine.tried] == [0.0, 5.0, 25.0]


def test_whoever_starts_the_guest_waits_for_no_copy_of_its_disks() -> None:
    machine = Watched()
    machine.tell(machine.order(Order.STORE), settle=False)

    machine.tell(machine.order(Order.START, attempt=2, disks_on=1))
    machine.let_pass(60)

    assert machine.counts.cancelled == [SEVEN]
    assert machine.tried == []
    assert machine.hypervisor.running() == {SEVEN}


def test_disks_that_are_cleared_away_are_not_tried_again() -> None:
    machine = Watched()
    machine.tell(machine.order(Order.STORE))

    machine.tell(machine.order(Order.FORGET))
    machine.let_pass(60)

    assert len(machine.tried) == 1
    assert machine.notebook.pages() == {}


def test_a_full_disk_of_the_node_itself_only_puts_the_next_try_off() -> None:
    machine = Watched()
    machine.tell(machine.order(Order.STORE))

    machine.notebook.is_full = True
    machine.let_pass(11)
    machine.notebook.is_full = False
    machine.hypervisor.store_fails = ""
    machine.let_pass(21)

    assert machine.reported()[-1] == "DisksStored"
