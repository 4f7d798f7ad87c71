"""The node manager is killed at every step of a start: never two QEMUs, and nothing left over.

The steps are those by which Tashi begins a QEMU of its own; libvirtd takes others.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from contracts.machines import QemuMachine, a_spec
from system.counting import until
from system.mortal_node import SAVED
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.errors import NoSuchImage
from tashi.domain.identity import Attempt, InstanceId
from tashi.ports.hypervisor import Found

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
BEFORE_QEMU = ("held", "disks", "wired", "intent")
BEFORE_IT_RAN = ("spawned", "met", "ready")


@pytest.fixture
def opened(machine: QemuMachine) -> Iterator[list[Qemu]]:
    """Hypervisors to be closed in the end."""
    all_of_them: list[Qemu] = []
    yield all_of_them
    for qemu in all_of_them:
        qemu.close()


def die_at(step: str, machine: QemuMachine, how: str = "start") -> None:
    """Let another process begin the guest and be killed at the step."""
    ended = subprocess.run(
        [sys.executable, "-m", "system.mortal_node", str(machine.folder), step, how],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def adopted(machine: QemuMachine, opened: list[Qemu]) -> tuple[Qemu, Found]:
    """The next process, and what it finds of the guest."""
    qemu = machine.open()
    opened.append(qemu)
    [found] = qemu.adopt()
    assert found.instance_id == SEVEN
    return qemu, found.found


@pytest.mark.parametrize("step", BEFORE_QEMU)
def test_before_there_is_a_qemu_only_the_folder_is_found(
    step: str, machine: QemuMachine, opened: list[Qemu]
) -> None:
    die_at(step, machine)

    qemu, found = adopted(machine, opened)
    none_runs = machine.qemus() == []
    running = qemu.start(a_spec())

    assert (found, none_runs) == (Found.GONE, True)
    assert machine.qemus() == [running.vm_id]


@pytest.mark.parametrize("step", BEFORE_IT_RAN)
def test_a_qemu_that_has_not_begun_is_carried_on(
    step: str, machine: QemuMachine, opened: list[Qemu]
) -> None:
    die_at(step, machine)
    # For a moment it has no command line yet.
    until(lambda: bool(machine.qemus()), lambda: "It has no QEMU.")
    [orphan] = machine.qemus()

    qemu, found = adopted(machine, opened)
    running = qemu.start(a_spec())

    assert (found, running.vm_id) == (Found.NOT_BEGUN, orphan)
    assert machine.qemus() == [orphan]
    assert [forward.guest_port for forward in running.nics[0].forwards] == [80]


@pytest.mark.parametrize("step", BEFORE_IT_RAN)
def test_a_qemu_that_has_not_begun_gives_way_to_a_later_attempt(
    step: str, machine: QemuMachine, opened: list[Qemu]
) -> None:
    die_at(step, machine)

    qemu, _ = adopted(machine, opened)
    running = qemu.start(a_spec(attempt=Attempt(2)))

    assert machine.qemus() == [running.vm_id]
    assert qemu.adopt()[0].attempt == Attempt(2)


def test_a_guest_that_has_begun_is_found_running(machine: QemuMachine, opened: list[Qemu]) -> None:
    die_at("begun", machine)

    _, found = adopted(machine, opened)

    assert found is Found.RUNNING
    assert len(machine.qemus()) == 1


@pytest.mark.parametrize("step", [*BEFORE_QEMU, *BEFORE_IT_RAN, "begun"])
def test_nothing_is_left_of_a_start_that_was_cut_short(
    step: str, machine: QemuMachine, opened: list[Qemu]
) -> None:
    die_at(step, machine)

    qemu, _ = adopted(machine, opened)
    qemu.kill(SEVEN)
    qemu.clear(SEVEN)

    assert (machine.qemus(), machine.leftovers()) == ([], [])


@pytest.mark.parametrize("step", ["spawned", "met", "ready", "loaded"])
def test_a_restore_that_was_cut_short_is_carried_on_and_uses_its_memory_once(
    step: str, machine: QemuMachine, opened: list[Qemu]
) -> None:
    first = machine.open()
    opened.append(first)
    first.start(a_spec())
    first.save(SEVEN, SAVED)
    die_at(step, machine, "restore")

    qemu, found = adopted(machine, opened)
    running = qemu.restore(a_spec(keep_disks=True), SAVED)

    assert found is Found.NOT_BEGUN
    assert machine.qemus() == [running.vm_id]
    assert [path.name for path in machine.suspended.iterdir()] == [f"{SAVED}.used"]
    qemu.kill(SEVEN)
    with pytest.raises(NoSuchImage):
        qemu.restore(a_spec(keep_disks=True), SAVED)
