"""What the next program finds: whatever was under way is finished once, whatever ended is told."""

import pytest
from msgspec.structs import replace

from fakes.registrar import silence
from nodemanager.machine import Machine
from tashi.adapters.hypervisor.simulated import Ether, SimulatedHypervisor
from tashi.domain.errors import HypervisorFailed, Misconfigured
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import InstanceId, VmId
from tashi.domain.states import Order
from tashi.ports.hypervisor import Happening, Listener, News, Running
from tashi.wire.forms import ReportForm

SEVEN = InstanceId(7)


def test_a_start_that_was_done_but_not_noted_is_found_and_not_done_again() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START), settle=False)
    machine.workers.run_all()

    machine.restart()

    assert machine.reported() == ["Started"]
    assert machine.hypervisor.running() == {SEVEN}


def test_a_start_that_was_not_done_yet_is_done_by_the_next_program() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START), settle=False)

    machine.restart()

    assert machine.reported() == ["Started"]
    assert machine.hypervisor.running() == {SEVEN}


def test_a_guest_that_froze_before_its_start_was_noted_is_reported_started_and_frozen() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START), settle=False)
    machine.workers.run_all()
    machine.hypervisor.freeze(SEVEN, "Its disk is full.")

    machine.restart()

    assert machine.reported() == ["Started", "SeenPaused"]


def test_disks_that_are_to_be_kept_survive_a_start_cut_short() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    machine.hypervisor.write(SEVEN)
    machine.hypervisor.power_off(SEVEN)
    machine.settle()

    machine.tell(machine.order(Order.START, attempt=2, disks_on=1), settle=False)
    machine.restart()

    assert machine.hypervisor.writes(SEVEN) == 1
    assert machine.reported() == ["Started", "GuestEnded", "Started"]


def test_memory_that_was_saved_but_not_noted_is_reported_as_saved() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    machine.tell(machine.order(Order.SAVE), settle=False)
    machine.workers.run_all()

    machine.restart()

    assert machine.reported() == ["Started", "Saved"]
    assert machine.registrar.reports[-1].saved == "7-2"


class Undying(SimulatedHypervisor):
    """Writes the memory of a guest whose process does not die the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = ["The process does not die."]

    def save(self, guest: InstanceId, to: str) -> None:
        if self.failures:
            raise HypervisorFailed(self.failures.pop())
        super().save(guest, to)


def test_a_guest_that_is_saved_and_does_not_die_is_reported_once_a_repeat_has_ended_it() -> None:
    machine = Machine(hypervisor=Undying())
    machine.begin()
    machine.tell(machine.order(Order.START))
    save = machine.order(Order.SAVE)

    machine.tell(save)
    before = machine.reported()
    machine.tell(save)

    assert before == ["Started"]
    assert machine.reported() == ["Started", "Saved"]


@pytest.mark.parametrize(
    ("order", "outcome"),
    [(Order.PAUSE, "PauseFailed"), (Order.SAVE, "SaveFailed"), (Order.POWER_DOWN, None)],
)
def test_a_guest_that_died_with_its_program_under_an_order_is_reported_as_ended(
    order: Order, outcome: str | None
) -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    machine.tell(machine.order(order), settle=False)

    machine.kill()
    machine.hypervisor.crash(SEVEN)
    machine.begin()

    expected = ["Started", *([outcome] if outcome else []), "GuestEnded"]
    assert machine.reported() == expected
    assert machine.registrar.reports[-1].how is Ending.CRASHED


def test_what_happened_while_the_program_was_away_is_reported() -> None:
    machine = Machine()
    machine.begin()
    for guest in (1, 2, 3):
        machine.tell(machine.order(Order.START, guest=guest))
    told = len(machine.reported())

    machine.kill()
    machine.hypervisor.power_off(InstanceId(1))
    machine.hypervisor.freeze(InstanceId(2), "")
    machine.begin()

    assert machine.reported()[told:] == ["GuestEnded", "SeenPaused"]
    assert machine.registrar.reports[told].how is Ending.POWERED_OFF


def test_a_machine_that_lost_its_guests_says_so() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))

    machine.kill()
    machine.hypervisor.kill(SEVEN)
    machine.hypervisor.clear(SEVEN)
    machine.begin()

    assert machine.reported() == ["Started", "GuestEnded"]
    assert machine.registrar.reports[-1].words == (
        "It ended while its node was away, and nothing of it is left."
    )


class Receiver(SimulatedHypervisor):
    """Lets a test tell the news that it might hear."""

    def listen(self, listener: Listener) -> None:
        super().listen(listener)
        self.tell = listener


def receiving() -> tuple[Machine, Receiver, SimulatedHypervisor, ReportForm]:
    """A machine that waits for a guest, the one that has it, and what was said of the door."""
    ether = Ether()
    source, target = SimulatedHypervisor("here", ether), Receiver("there", ether)
    machine = Machine(hypervisor=target)
    machine.begin()
    source.start(machine.spec())
    machine.tell(machine.order(Order.PREPARE_TARGET))
    [ready] = machine.registrar.reports
    return machine, target, source, ready


def test_a_guest_that_arrives_by_its_sources_word_is_reported_and_may_be_told_to_run() -> None:
    machine, target, source, ready = receiving()

    source.send(SEVEN, ready.incoming)
    machine.settle()
    machine.tell(replace(machine.order(Order.RUN), operation=ready.operation))
    first, second = machine.registrar.reports[1:]

    assert target.running() == {SEVEN}
    assert machine.reported() == ["TargetReady", "Arrived", "Arrived"]
    assert (first, first.operation) == (second, ready.operation)


def test_a_guest_whose_arrival_was_not_noted_is_reported_by_the_next_program() -> None:
    machine, _, source, ready = receiving()
    machine.kill()

    source.send(SEVEN, ready.incoming)
    machine.begin()

    assert machine.reported() == ["TargetReady", "Arrived"]
    assert [one.state for one in machine.registrar.inventories[-1].guests] == [GuestState.RUNNING]


def test_an_arrival_at_another_door_or_of_a_guest_that_is_to_be_killed_is_no_news() -> None:
    machine, target, source, ready = receiving()

    target.tell(News(SEVEN, Happening.ARRIVED, incoming="there/7/0", running=Running(VmId(1), ())))
    machine.settle()
    machine.tell(machine.order(Order.KILL), settle=False)
    source.send(SEVEN, ready.incoming)
    machine.settle()

    assert machine.reported() == ["TargetReady", "GuestEnded"]
    assert target.kept() == set()


def sending(*, done: bool) -> Machine:
    """A machine that was told to send its guest, and has done so or not."""
    ether = Ether()
    machine = Machine(hypervisor=SimulatedHypervisor("here", ether))
    machine.begin()
    machine.tell(machine.order(Order.START))
    incoming = SimulatedHypervisor("there", ether).prepare_target(machine.spec(), "there")
    machine.tell(machine.order(Order.SEND, incoming=incoming), settle=False)
    if done:
        machine.workers.run_all()
    return machine


class Untidy(SimulatedHypervisor):
    """Does not clear a guest away at first."""

    failures = 1

    def clear(self, guest: InstanceId) -> None:
        if self.failures:
            self.failures -= 1
            raise HypervisorFailed("The folder cannot be removed.")
        super().clear(guest)


def test_a_guest_that_has_left_is_told_so_before_it_is_cleared_away_by_whoever_can() -> None:
    ether = Ether()
    machine = Machine(hypervisor=Untidy("here", ether))
    machine.begin()
    machine.tell(machine.order(Order.START))
    incoming = SimulatedHypervisor("there", ether).prepare_target(machine.spec(), "there")

    machine.tell(machine.order(Order.SEND, incoming=incoming))
    told, kept = machine.reported(), machine.hypervisor.kept()
    machine.restart()
    listed = [guest.instance_id for guest in machine.registrar.inventories[-1].guests]
    machine.tell(machine.order(Order.KILL))  # as every guest that the books do not want there

    assert told == ["Started", "SourceLeft"]
    assert kept == {SEVEN}
    assert listed == [SEVEN]
    assert machine.hypervisor.kept() == set()


def test_a_guest_whose_leaving_was_noted_but_not_heard_is_cleared_away_by_the_next_program() -> (
    None
):
    ether = Ether()
    machine = Machine(hypervisor=Untidy("here", ether))
    machine.begin()
    machine.tell(machine.order(Order.START))
    incoming = SimulatedHypervisor("there", ether).prepare_target(machine.spec(), "there")
    machine.registrar.mishaps = [silence() for _ in range(9)]

    machine.tell(machine.order(Order.SEND, incoming=incoming))
    kept = machine.hypervisor.kept()
    machine.registrar.mishaps.clear()
    machine.restart()

    assert kept == {SEVEN}
    assert machine.reported() == ["Started", "SourceLeft"]
    assert machine.hypervisor.kept() == set()


def test_a_send_that_was_done_but_not_noted_is_reported() -> None:
    machine = sending(done=True)

    machine.restart()

    assert machine.reported() == ["Started", "SourceLeft"]
    assert machine.hypervisor.kept() == set()


def test_a_send_that_was_cut_short_leaves_the_guest_where_it_is() -> None:
    machine = sending(done=False)

    machine.restart()

    assert machine.reported() == ["Started", "MoveFailed"]
    assert machine.hypervisor.running() == {SEVEN}


def test_a_guest_that_froze_while_its_send_was_cut_short_is_reported_as_frozen() -> None:
    machine = sending(done=False)

    machine.kill()
    machine.hypervisor.freeze(SEVEN, "Its disk is full.")
    machine.begin()

    assert machine.reported() == ["Started", "MoveFailed", "SeenPaused"]


def test_a_guest_that_died_while_its_send_was_cut_short_is_reported_as_ended() -> None:
    machine = sending(done=False)

    machine.kill()
    machine.hypervisor.crash(SEVEN)
    machine.begin()

    assert machine.reported() == ["Started", "MoveFailed", "GuestEnded"]
    assert machine.registrar.reports[-1].disks_remain


def test_a_guest_that_dies_while_it_is_sent_has_first_not_been_sent() -> None:
    machine = sending(done=False)

    machine.hypervisor.crash(SEVEN)
    machine.settle()

    assert machine.reported() == ["Started", "MoveFailed", "GuestEnded"]
    assert machine.registrar.reports[-1].disks_remain


def test_of_a_guest_that_cannot_be_run_all_that_arrived_is_kept_until_it_is_to_be_ended() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.PREPARE_TARGET))

    machine.tell(machine.order(Order.RUN))
    kept = machine.hypervisor.kept()
    machine.tell(machine.order(Order.KILL))

    assert machine.reported() == ["TargetReady", "GuestEnded", "GuestEnded"]
    assert machine.registrar.reports[1].disks_remain
    assert kept == {SEVEN}
    assert machine.hypervisor.kept() == set()
    assert machine.notebook.pages() == {}


def test_memory_that_is_not_there_is_reported_as_spent() -> None:
    machine = Machine()
    machine.begin()

    machine.tell(machine.order(Order.RESTORE, saved="7-1"))

    assert machine.reported() == ["MemorySpent"]
    assert machine.notebook.pages() == {}


def test_a_guest_without_a_note_is_listed_and_can_be_ended() -> None:
    machine = Machine()
    machine.hypervisor.start(machine.spec())
    machine.begin()
    [inventory] = machine.registrar.inventories

    machine.tell(machine.order(Order.KILL))

    assert [(one.instance_id, one.state) for one in inventory.guests] == [
        (SEVEN, GuestState.RUNNING)
    ]
    assert machine.hypervisor.kept() == set()


@pytest.mark.parametrize("page", [b"", b"{}", b"\xff", b'{"instanceId":7}'])
def test_a_note_that_cannot_be_read_stops_the_program_with_a_remedy(page: bytes) -> None:
    machine = Machine()
    machine.notebook.write(SEVEN, page)

    with pytest.raises(Misconfigured, match=r"move 7\.json out of"):
        machine.manager.begin()
