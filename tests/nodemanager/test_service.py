"""The calls of a node manager: resets and consoles of the guests it has."""

from concurrent.futures import Future
from typing import Any

import pytest

from nodemanager.machine import Machine
from tashi.domain.errors import NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.domain.states import Order
from tashi.wire.forms import ConsoleForm, SessionForm

SEVEN = InstanceId(7)


def a_running_guest() -> Machine:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    return machine


def call(machine: Machine, name: str, **arguments: object) -> Future[Any]:
    answer: Future[Any] = machine.manager.handlers()[name](None, "", **arguments)
    machine.settle()
    return answer


def test_a_check_says_which_session_is_open() -> None:
    machine = a_running_guest()

    assert call(machine, "liveCheck", epoch=1).result(0) == SessionForm(1, 1, 1)


def test_a_reset_begins_the_guest_anew() -> None:
    machine = a_running_guest()

    assert call(machine, "resetVm", instance_id=7, attempt=1).result(0)


@pytest.mark.parametrize(("guest", "attempt"), [(7, 2), (8, 1)])
def test_a_reset_of_another_guest_or_attempt_is_refused(guest: int, attempt: int) -> None:
    answer = call(a_running_guest(), "resetVm", instance_id=guest, attempt=attempt)

    assert isinstance(answer.exception(0), NoSuchVm)


def test_a_reset_of_a_guest_that_has_ended_is_refused() -> None:
    machine = a_running_guest()
    machine.hypervisor.power_off(SEVEN)

    answer = call(machine, "resetVm", instance_id=7, attempt=1)

    assert isinstance(answer.exception(0), NoSuchVm)


def test_a_console_is_read_at_once_when_there_is_something_to_read() -> None:
    machine = a_running_guest()

    piece = call(machine, "getConsole", instance_id=7, offset=2, timeout=30.0)

    assert piece.result(0) == ConsoleForm("OT\n", 5)


def test_a_console_that_says_nothing_is_waited_for_up_to_the_timeout() -> None:
    machine = a_running_guest()

    piece = call(machine, "getConsole", instance_id=7, offset=5, timeout=2.0)
    machine.let_pass(1)
    waiting = not piece.done()
    machine.let_pass(1)

    assert waiting
    assert piece.result(0) == ConsoleForm("", 5)


def test_a_console_is_given_up_on_when_nothing_is_kept_of_its_guest_any_more() -> None:
    machine = a_running_guest()

    piece = call(machine, "getConsole", instance_id=7, offset=5, timeout=60.0)
    machine.tell(machine.order(Order.KILL))
    machine.let_pass(1)

    assert isinstance(piece.exception(0), NoSuchVm)


@pytest.mark.parametrize("timeout", [0.0, 30.0])
def test_a_console_of_which_nothing_is_kept_is_refused(timeout: float) -> None:
    answer = call(a_running_guest(), "getConsole", instance_id=8, offset=0, timeout=timeout)

    assert isinstance(answer.exception(0), NoSuchVm)


def test_a_wake_lets_a_waiting_turn_return() -> None:
    machine = a_running_guest()

    machine.manager.wake()
    machine.manager.turn(60.0)
