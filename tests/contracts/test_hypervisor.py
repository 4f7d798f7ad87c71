"""What every hypervisor promises (`tashi.ports.hypervisor`), held against each of them.

Hardly anything of it needs an operating system: most guests here stay in their firmware.
"""

import pytest

from contracts.machines import (
    A_NIC,
    IDLE,
    POWERS_OFF,
    SPEAKS,
    Heard,
    Machine,
    a_spec,
)
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, InstanceId
from tashi.ports.hypervisor import Found, Happening, Hypervisor, Others

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)


@pytest.fixture
def restart(machine: Machine, hypervisor: Hypervisor, request: pytest.FixtureRequest) -> "Restart":
    return Restart(machine, hypervisor, request)


class Restart:
    """Ends the node manager's hypervisor and begins the next one's."""

    def __init__(
        self, machine: Machine, hypervisor: Hypervisor, request: pytest.FixtureRequest
    ) -> None:
        self._machine = machine
        self._hypervisor = hypervisor
        self._request = request

    def end(self) -> None:
        self._hypervisor.close()

    def begin(self, heard: Heard) -> Hypervisor:
        opened = self._machine.open()
        self._request.addfinalizer(opened.close)
        opened.listen(heard)
        return opened


def test_a_machine_begins_without_guests(hypervisor: Hypervisor) -> None:
    assert list(hypervisor.adopt()) == []


def test_guests_of_ours_are_not_those_of_others(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())

    assert hypervisor.others() == Others()


def test_a_started_guest_has_a_process_and_its_cards(hypervisor: Hypervisor) -> None:
    running = hypervisor.start(a_spec())

    assert running.vm_id > 1
    assert [(nic.network, nic.mac) for nic in running.nics] == [(A_NIC.network, A_NIC.mac)]


def test_guests_have_processes_of_their_own(hypervisor: Hypervisor) -> None:
    one = hypervisor.start(a_spec(7))
    other = hypervisor.start(a_spec(8))

    assert one.vm_id != other.vm_id


def test_a_guest_that_lives_is_not_started_a_second_time(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())

    with pytest.raises(HypervisorFailed):
        hypervisor.start(a_spec())
    with pytest.raises(HypervisorFailed):
        hypervisor.start(a_spec(attempt=Attempt(2)))


def test_pausing_and_unpausing_twice_does_no_harm_and_is_no_news(
    hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec())

    hypervisor.pause(SEVEN)
    hypervisor.pause(SEVEN)
    hypervisor.unpause(SEVEN)
    hypervisor.unpause(SEVEN)

    assert heard.nothing


@pytest.mark.parametrize("command", ["pause", "unpause", "power_down", "reset"])
def test_commands_for_a_guest_that_is_not_here_are_refused(
    hypervisor: Hypervisor, command: str
) -> None:
    with pytest.raises(NoSuchVm):
        getattr(hypervisor, command)(SEVEN)


def test_killing_and_clearing_what_is_not_here_is_harmless(hypervisor: Hypervisor) -> None:
    hypervisor.kill(SEVEN)
    hypervisor.clear(SEVEN)

    assert list(hypervisor.adopt()) == []


def test_a_killed_guest_is_gone_without_news_and_its_folder_stays(
    hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec())

    hypervisor.kill(SEVEN)
    [found] = hypervisor.adopt()

    assert (found.found, found.how, found.running) == (Found.GONE, Ending.KILLED, None)
    assert found.attempt == Attempt(1)
    assert heard.nothing
    with pytest.raises(NoSuchVm):
        hypervisor.pause(SEVEN)


def test_nothing_is_kept_of_a_guest_that_was_cleared_away(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())
    hypervisor.kill(SEVEN)

    hypervisor.clear(SEVEN)

    assert list(hypervisor.adopt()) == []
    with pytest.raises(NoSuchVm):
        hypervisor.console(SEVEN, 0, 100)


def test_a_guest_that_lives_is_not_cleared_away(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())

    with pytest.raises(HypervisorFailed):
        hypervisor.clear(SEVEN)

    hypervisor.pause(SEVEN)


def test_a_crash_is_told_with_words(machine: Machine, hypervisor: Hypervisor, heard: Heard) -> None:
    machine.crash(hypervisor.start(a_spec()))

    news = heard.next()

    assert (news.instance_id, news.what, news.how) == (SEVEN, Happening.ENDED, Ending.CRASHED)
    assert news.words


def test_a_guest_that_powers_itself_off_is_told_as_that(
    machine: Machine, hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec(image=POWERS_OFF))
    machine.power_off(SEVEN)

    news = heard.next()

    assert (news.what, news.how) == (Happening.ENDED, Ending.POWERED_OFF)


def test_a_freeze_and_a_thaw_that_nobody_asked_for_are_told(
    machine: Machine, hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec())

    machine.freeze(SEVEN)
    froze = heard.next()
    machine.thaw(SEVEN)
    thawed = heard.next()

    assert (froze.what, thawed.what) == (Happening.FROZE, Happening.THAWED)
    assert froze.words


def test_a_frozen_guest_can_be_thawed_by_unpausing_it(
    machine: Machine, hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec())
    machine.freeze(SEVEN)
    heard.next()

    hypervisor.unpause(SEVEN)

    assert heard.nothing
    assert [found.found for found in hypervisor.adopt()] == [Found.RUNNING]


def test_guests_outlive_the_node_manager(hypervisor: Hypervisor, restart: Restart) -> None:
    first = hypervisor.start(a_spec(7))
    second = hypervisor.start(a_spec(8))
    hypervisor.pause(EIGHT)

    restart.end()
    found = restart.begin(Heard()).adopt()

    assert [(one.instance_id, one.found) for one in found] == [
        (SEVEN, Found.RUNNING),
        (EIGHT, Found.FROZEN),
    ]
    assert [one.running for one in found] == [first, second]


def test_an_address_that_is_known_is_remembered(hypervisor: Hypervisor, restart: Restart) -> None:
    hypervisor.start(a_spec())
    hypervisor.allow(SEVEN, A_NIC.mac, "192.0.2.7")
    hypervisor.allow(SEVEN, "52:54:00:00:00:99", "192.0.2.9")
    hypervisor.allow(EIGHT, A_NIC.mac, "192.0.2.8")

    restart.end()
    [found] = restart.begin(Heard()).adopt()

    assert found.running is not None
    assert [nic.ip for nic in found.running.nics] == ["192.0.2.7"]


def test_an_adopted_guest_obeys_and_is_watched(
    machine: Machine, hypervisor: Hypervisor, restart: Restart
) -> None:
    running = hypervisor.start(a_spec())
    restart.end()
    heard = Heard()
    next_one = restart.begin(heard)
    next_one.adopt()

    next_one.pause(SEVEN)
    next_one.unpause(SEVEN)
    machine.crash(running)

    assert heard.next().how is Ending.CRASHED


def test_a_crash_while_nobody_watched_is_found(
    machine: Machine, hypervisor: Hypervisor, restart: Restart
) -> None:
    running = hypervisor.start(a_spec())

    restart.end()
    machine.crash(running)
    [found] = restart.begin(Heard()).adopt()

    assert (found.found, found.how) == (Found.GONE, Ending.CRASHED)


def test_killed_guests_are_found_as_killed(hypervisor: Hypervisor, restart: Restart) -> None:
    hypervisor.start(a_spec())
    hypervisor.kill(SEVEN)

    restart.end()
    [found] = restart.begin(Heard()).adopt()

    assert (found.found, found.how) == (Found.GONE, Ending.KILLED)


def test_a_guest_that_was_killed_starts_again(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())
    hypervisor.kill(SEVEN)

    again = hypervisor.start(a_spec(attempt=Attempt(2)))
    [found] = hypervisor.adopt()

    assert (found.found, found.attempt, found.running) == (Found.RUNNING, Attempt(2), again)


def test_disks_that_are_not_there_cannot_be_kept(hypervisor: Hypervisor) -> None:
    with pytest.raises(HypervisorFailed, match="gone"):
        hypervisor.start(a_spec(keep_disks=True))

    assert list(hypervisor.adopt()) == []


def test_the_console_is_read_from_any_place(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec(image=SPEAKS))
    said, end = b"", 0
    while len(said) < 4:
        said, end = hypervisor.console(SEVEN, 0, 4)

    assert end == 4
    assert hypervisor.console(SEVEN, 1, 2) == (said[1:3], 3)
    assert hypervisor.console(SEVEN, 10_000, 10)[0] == b""
    assert hypervisor.console(SEVEN, -1_000_000, 4) == (said, 4)


def test_the_console_can_be_read_after_the_guest_ended(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec(image=IDLE))
    hypervisor.kill(SEVEN)

    hypervisor.console(SEVEN, 0, 100)


def test_nothing_is_told_after_the_end(
    machine: Machine, hypervisor: Hypervisor, heard: Heard
) -> None:
    running = hypervisor.start(a_spec())

    hypervisor.close()
    machine.crash(running)

    assert heard.nothing
