"""Addresses of guests: heard where guests live, told once, and kept until they are heard of."""

from nodemanager.machine import Machine
from tashi.domain.addresses import STALE_SECONDS
from tashi.domain.guest import GuestState
from tashi.domain.states import Order
from tashi.nodemanager import guests
from tashi.nodemanager.guests import Note
from tashi.wire.forms import NicForm, ReportForm

MAC, OTHER = "52:54:00:00:00:07", "52:54:00:00:00:08"
TAP, SECOND = "tashi7.0", "tashi7.1"
IP, ANOTHER = "192.0.2.7", "192.0.2.9"


def a_machine(*nics: NicForm) -> Machine:
    """A machine with one guest, whose cards those are."""
    machine = Machine()
    machine.begin()
    cards = nics or (NicForm(1, MAC),)
    machine.tell(machine.order(Order.START, nics=cards))
    return machine


def say(machine: Machine, ip: str, *, given: bool = False, device: str = TAP) -> None:
    machine.frames.say(device, machine.frames.watched.get(device, MAC), ip, given=given)
    machine.settle()


def seen(machine: Machine) -> list[tuple[str, str]]:
    """The addresses that were told, in order."""
    return [(one.mac, one.ip) for one in machine.registrar.reports if one.kind == "SeenAddress"]


def test_every_card_of_a_guest_is_listened_to_while_it_lives() -> None:
    machine = a_machine(NicForm(1, MAC), NicForm(2, OTHER))
    living = dict(machine.frames.watched)

    machine.tell(machine.order(Order.KILL))

    assert living == {TAP: MAC, SECOND: OTHER}
    assert machine.frames.watched == {}


def test_a_card_that_was_plugged_in_is_behind_the_device_of_its_port() -> None:
    machine = a_machine(NicForm(1, MAC), NicForm(2, OTHER, port=3))

    assert machine.frames.watched == {TAP: MAC, "tashi7.11": OTHER}


def test_guests_from_before_are_listened_to() -> None:
    machine = a_machine()

    machine.restart()

    assert machine.frames.watched == {TAP: MAC}


def test_an_address_is_told_once() -> None:
    machine = a_machine()

    say(machine, IP)
    say(machine, IP)
    say(machine, IP, given=True)

    assert seen(machine) == [(MAC, IP)]


def test_an_address_that_nobody_heard_of_is_told_by_the_next_program() -> None:
    machine = a_machine()
    machine.registrar.end_session()
    machine.frames.say(TAP, MAC, IP)
    machine.manager.turn(0.0)

    machine.restart()

    assert seen(machine) == [(MAC, IP)]


def test_an_address_that_is_known_is_not_told_again_after_a_restart() -> None:
    machine = a_machine()
    say(machine, IP)

    machine.restart()
    say(machine, IP)

    assert seen(machine) == [(MAC, IP)]


def test_a_card_that_was_started_with_an_address_keeps_it_against_announcements() -> None:
    machine = a_machine(NicForm(1, MAC, IP))

    say(machine, ANOTHER)
    announced = seen(machine)
    say(machine, ANOTHER, given=True)

    assert announced == []
    assert seen(machine) == [(MAC, ANOTHER)]


def test_an_announcement_counts_once_the_known_address_was_not_seen_for_long() -> None:
    machine = a_machine()
    say(machine, IP)
    machine.let_pass(int(STALE_SECONDS) - 10)
    say(machine, IP)
    machine.let_pass(20)
    say(machine, ANOTHER)
    before = seen(machine)

    machine.let_pass(int(STALE_SECONDS))
    say(machine, ANOTHER)

    assert before == [(MAC, IP)]
    assert seen(machine) == [(MAC, IP), (MAC, ANOTHER)]


def test_the_guests_agent_is_believed_like_the_guest() -> None:
    machine = a_machine()
    [guest] = machine.hypervisor.adopt()

    machine.hypervisor.say_address(guest.instance_id, MAC, IP)
    machine.settle()
    machine.hypervisor.say_address(guest.instance_id, MAC, ANOTHER)
    machine.hypervisor.say_address(guest.instance_id, OTHER, ANOTHER)
    machine.settle()

    assert seen(machine) == [(MAC, IP)]


def test_the_card_is_held_to_its_address() -> None:
    machine = a_machine()

    say(machine, "2001:db8::7")
    say(machine, IP)

    assert seen(machine) == [(MAC, "2001:db8::7"), (MAC, IP)]
    [guest] = machine.hypervisor.adopt()
    assert guest.running is not None
    assert [nic.ip for nic in guest.running.nics] == [IP]


def test_what_is_heard_of_a_guest_that_has_ended_is_of_the_past() -> None:
    machine = a_machine()
    machine.frames.say(TAP, MAC, IP)

    machine.hypervisor.crash(machine.hypervisor.adopt()[0].instance_id)
    machine.settle()
    kinds = [one.kind for one in machine.registrar.reports]
    machine.tell(machine.order(Order.KILL))
    machine.manager.turn(0.0)

    assert kinds[-1] == "GuestEnded"
    assert machine.notebook.pages() == {}


def test_a_restarted_guest_is_listened_to_anew() -> None:
    machine = a_machine()
    say(machine, IP)
    machine.tell(machine.order(Order.KILL))

    machine.tell(machine.order(Order.START, attempt=2, nics=(NicForm(1, MAC),)))
    say(machine, ANOTHER)

    assert seen(machine) == [(MAC, IP), (MAC, ANOTHER)]


def test_a_report_carries_the_card_and_its_address() -> None:
    machine = a_machine()

    say(machine, IP)

    told = machine.registrar.reports[-1]
    assert told == ReportForm("SeenAddress", 7, 1, told.operation, mac=MAC, ip=IP)


def test_only_the_last_address_of_each_card_is_still_to_be_told() -> None:
    cards = (NicForm(1, MAC), NicForm(2, OTHER))
    note = Note(7, 1, 1, GuestState.RUNNING, nics=cards)

    for mac, ip in ((MAC, IP), (OTHER, "192.0.2.8"), (MAC, ANOTHER)):
        note = guests.addressed(note, mac, ip).note

    assert [(one.mac, one.ip) for one in note.unheard] == [(OTHER, "192.0.2.8"), (MAC, ANOTHER)]
