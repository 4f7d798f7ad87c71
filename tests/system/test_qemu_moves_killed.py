"""Whatever is killed while a guest moves, at each step: one of the machines has it, whole.

The steps are those in which Tashi has QEMUs of its own send and receive; libvirtd takes others.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from contracts.machines import PEER, Heard, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.record import decode
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import Found, Happening, Running

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
BEFORE_QEMU = ("held", "disks", "wired", "intent")
BEFORE_THE_DOOR = ("spawned", "met", "ready", "loaded")
BEFORE_THE_SWITCH = ("noted", "let in", "copying", "copied", "sending", "standing", "mirrored")
AT_THE_SWITCH = "continued"
AFTER_THE_SWITCH = ("completed", "left")
AFTER_THE_WORD = "told"
KEPT = a_spec(disks=(Disk("idle.img"), Disk("kept.img", persistent=True)))
IMPATIENT = 3.0
SOON = 30.0


@pytest.fixture
def here(verdict: Path) -> Iterator[QemuMachine]:
    made = QemuMachine.made(verdict)
    (made.images / "kept.img").write_bytes(bytes(1 << 20))
    yield made
    made.close()


@pytest.fixture
def opened(heard: Heard) -> Iterator[Callable[..., Qemu]]:
    """Open a hypervisor whose news is heard; it is closed in the end."""
    made: list[Qemu] = []

    def make(machine: QemuMachine, **different: object) -> Qemu:
        made.append(machine.open(**different))  # type: ignore[arg-type]
        made[-1].listen(heard)
        return made[-1]

    yield make
    for qemu in made:
        qemu.close()


def another(step: str, machine: QemuMachine, how: str, door: str = "") -> "subprocess.Popen[str]":
    """Another process that has its part in a move, and is killed at the step."""
    return subprocess.Popen(
        [sys.executable, "-m", "system.mortal_node", str(machine.folder), step, how, door],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def die_at(step: str, machine: QemuMachine, how: str, door: str = "") -> None:
    """Let another process have its part in a move, and be killed at the step."""
    with another(step, machine, how, door) as process:
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def sent_to_one_that_dies(step: str, machine: QemuMachine, source: Qemu) -> int:
    """Send the guest to a target whose node is killed at the step; what that node ended with."""
    with another(step, machine, "receive") as receiving:
        assert receiving.stdout is not None
        source.send(SEVEN, receiving.stdout.readline())
        return receiving.wait(SOON)


def found(qemu: Qemu) -> Found:
    [one] = qemu.adopt()
    return one.found


def at(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something at a step."""

    def on_step(now: str) -> None:
        if now == step:
            act()

    return on_step


def stop_qemu(machine: QemuMachine) -> None:
    for vm_id in machine.qemus():
        os.kill(vm_id, signal.SIGSTOP)


def crash_qemu(machine: QemuMachine) -> None:
    for vm_id in machine.qemus():
        machine.crash(Running(vm_id, ()))


@pytest.mark.parametrize("step", BEFORE_THE_SWITCH)
def test_a_guest_whose_sender_dies_before_the_switch_runs_on_and_can_be_moved(
    step: str, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    target = opened(there)
    die_at(step, here, "send", target.prepare_target(a_spec(), PEER))

    source = opened(here)
    remained = found(source)
    target.kill(SEVEN)
    target.clear(SEVEN)
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    target.run(SEVEN)

    assert remained is Found.RUNNING
    assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)


def test_a_guest_whose_sender_dies_at_the_switch_is_on_one_machine(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    target = opened(there)
    die_at(AT_THE_SWITCH, here, "send", target.prepare_target(a_spec(), PEER))

    source = opened(here)
    if found(source) is Found.LEFT:
        target.run(SEVEN)
        assert found(target) is Found.RUNNING
    else:
        assert found(source) is Found.RUNNING


@pytest.mark.parametrize("step", AFTER_THE_SWITCH)
def test_a_guest_whose_sender_dies_after_the_switch_has_left(
    step: str, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    target = opened(there)
    die_at(step, here, "send", target.prepare_target(a_spec(), PEER))

    source = opened(here)
    left = found(source)
    target.run(SEVEN)

    assert (left, here.qemus()) == (Found.LEFT, [])
    assert found(target) is Found.RUNNING


def test_a_guest_whose_sender_dies_after_its_word_runs_on_the_target(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu], heard: Heard
) -> None:
    target = opened(there)
    die_at(AFTER_THE_WORD, here, "send", target.prepare_target(a_spec(), PEER))

    assert heard.next().what is Happening.ARRIVED
    assert found(target) is Found.RUNNING
    assert found(opened(here)) is Found.LEFT


@pytest.mark.parametrize(("step", "then"), [("heard", Found.RECEIVING), ("goes on", Found.RUNNING)])
def test_a_target_whose_node_dies_at_the_word_runs_the_guest_when_it_is_told(
    step: str, then: Found, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    source = opened(here)
    source.start(a_spec())
    ended = sent_to_one_that_dies(step, there, source)
    target = opened(there)
    arrived = found(target)
    target.run(SEVEN)

    assert (ended, arrived) == (-signal.SIGKILL, then)
    assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)


def test_a_word_without_an_answer_holds_nobody_up(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    target = opened(there)
    source = opened(here, on_step=at("left", partial(stop_qemu, there)))
    source.start(a_spec())

    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    left = found(source)
    for vm_id in there.qemus():
        os.kill(vm_id, signal.SIGCONT)
    target.run(SEVEN)

    assert left is Found.LEFT
    assert found(target) is Found.RUNNING


@pytest.mark.parametrize("step", [*BEFORE_QEMU, *BEFORE_THE_DOOR])
def test_a_target_whose_node_dies_is_cleared_away_and_made_again(
    step: str, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    source = opened(here)
    source.start(a_spec())
    die_at(step, there, "receive")

    target = opened(there)
    cut_short = found(target)
    target.kill(SEVEN)
    target.clear(SEVEN)
    none = (there.qemus(), there.leftovers())
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    target.run(SEVEN)

    assert cut_short is (Found.GONE if step in BEFORE_QEMU else Found.RECEIVING)
    assert none == ([], [])
    assert found(target) is Found.RUNNING


def test_a_guest_arrives_where_no_node_manager_runs(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    source = opened(here)
    source.start(a_spec())
    ended = sent_to_one_that_dies("called", there, source)
    target = opened(there)
    arrived = found(target)
    target.run(SEVEN)

    assert ended == -signal.SIGKILL
    assert (arrived, found(target)) == (Found.RECEIVING, Found.RUNNING)


def test_a_door_is_shut_with_its_node_manager_and_the_guest_runs_on(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu], heard: Heard
) -> None:
    source = opened(here)
    source.start(a_spec())
    die_at("loaded", there, "receive")
    record = decode((there.info / "7/record.json").read_bytes())
    assert record is not None

    with pytest.raises(HypervisorFailed, match="is not reached"):
        source.send(SEVEN, record.incoming)

    assert found(source) is Found.RUNNING
    assert heard.nothing


@pytest.mark.parametrize(("step", "then"), [("arrived", Found.RECEIVING), ("runs", Found.RUNNING)])
def test_a_target_whose_node_dies_while_it_lets_the_guest_run_is_told_so_again(
    step: str, then: Found, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    source, target = opened(here), opened(there)
    source.start(a_spec())
    source.send(SEVEN, there.unheard(target.prepare_target(a_spec(), PEER)))
    target.close()
    die_at(step, there, "run")

    target = opened(there)
    remembered = found(target)
    running = target.run(SEVEN)

    assert remembered is then
    assert there.qemus() == [running.vm_id]
    assert found(target) is Found.RUNNING


@pytest.mark.parametrize("step", BEFORE_THE_SWITCH)
@pytest.mark.parametrize("mishap", ["the target dies", "it is cancelled"])
def test_a_guest_that_cannot_leave_runs_on_without_news(
    step: str,
    mishap: str,
    here: QemuMachine,
    there: QemuMachine,
    opened: Callable[..., Qemu],
    heard: Heard,
) -> None:
    target = there.open()
    source: list[Qemu] = []
    doors: list[str] = []
    acts: dict[str, Callable[[], object]] = {
        "the target dies": partial(crash_qemu, there),
        "it is cancelled": lambda: source[0].cancel(SEVEN, *doors),
    }
    source.append(opened(here, on_step=at(step, acts[mishap])))
    source[0].start(KEPT)
    doors.append(target.prepare_target(KEPT, PEER))

    try:
        with pytest.raises(HypervisorFailed, match="Instance 7 was not moved: "):
            source[0].send(SEVEN, *doors)
    finally:
        target.close()

    assert found(source[0]) is Found.RUNNING
    assert heard.nothing
    here.human(SEVEN, "query-status")


@pytest.mark.parametrize("step", ["noted", "let in", "copied", "sending", "mirrored"])
def test_a_target_that_hangs_costs_no_more_than_the_time_for_a_move(
    step: str, here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu], heard: Heard
) -> None:
    target = opened(there)
    source = opened(here, on_step=at(step, partial(stop_qemu, there)), migrate_timeout=IMPATIENT)
    source.start(a_spec())

    with pytest.raises(HypervisorFailed, match=r"too long|did not answer|timed out"):
        source.send(SEVEN, target.prepare_target(a_spec(), PEER))

    assert found(source) is Found.RUNNING
    assert heard.nothing


def test_a_source_that_crashes_on_the_way_is_news_and_the_target_does_not_run(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu], heard: Heard
) -> None:
    target = there.open()
    source = opened(here, on_step=at("sending", partial(crash_qemu, here)))
    source.start(a_spec())

    try:
        with pytest.raises(HypervisorFailed):
            source.send(SEVEN, target.prepare_target(a_spec(), PEER))
        with pytest.raises((HypervisorFailed, NoSuchVm)):  # its QEMU waits in vain, or gave up
            target.run(SEVEN)
    finally:
        target.close()

    assert heard.next().what is Happening.ENDED
    assert found(source) is Found.GONE


def test_a_persistent_disk_goes_over_to_the_target(
    here: QemuMachine, there: QemuMachine, opened: Callable[..., Qemu]
) -> None:
    source, target = opened(here), opened(there)
    source.start(KEPT)

    source.send(SEVEN, target.prepare_target(KEPT, PEER))
    source.kill(SEVEN)
    target.run(SEVEN)

    with pytest.raises(HypervisorFailed, match=r"kept.img is in use"):
        source.start(a_spec(8, disks=KEPT.disks))
