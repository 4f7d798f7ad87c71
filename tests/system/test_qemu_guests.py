"""What befalls guests under a real QEMU: hung monitors, savings that fail or are cut short.

It is about the process and the monitor that are Tashi's own there, and libvirtd's with libvirt.
What both promise of disks and networks is in contracts/test_hypervisor_real.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.machines import (
    Heard,
    QemuMachine,
    a_spec,
)
from system.mortal_node import SAVED
from tashi.adapters.hypervisor.qemu import adoption
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.errors import (
    HypervisorFailed,
    NoSuchVm,
    UnableToSuspend,
)
from tashi.domain.guest import Ending
from tashi.domain.identity import InstanceId, Mib
from tashi.ports.hypervisor import Found, Happening

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)
IMPATIENT = 0.5


def test_everything_kept_of_a_guest_is_private(qemu: Qemu, machine: QemuMachine) -> None:
    qemu.start(a_spec())

    kept = [machine.info, *machine.info.rglob("*"), *machine.scratch.glob("*/*")]
    open_to_others = [path for path in kept if path.lstat().st_mode & 0o077]

    # What this machine's QEMU can do is nobody's secret.
    assert {path.name for path in open_to_others} <= {"accelerator.json", "engine.json"}


def test_a_monitor_that_hangs_holds_up_nobody_else(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    qemu = opened(monitor_timeout=IMPATIENT)
    hung = qemu.start(a_spec(7))
    qemu.start(a_spec(8))
    os.kill(hung.vm_id, signal.SIGSTOP)

    def pause_in_vain() -> None:
        with pytest.raises(HypervisorFailed, match=r"did not answer stop within 0.5 s"):
            qemu.pause(SEVEN)

    waiting = threading.Thread(target=pause_in_vain)
    waiting.start()
    qemu.pause(EIGHT)
    still_waiting = waiting.is_alive()
    waiting.join()
    qemu.kill(SEVEN)

    assert still_waiting
    assert [one.found for one in qemu.adopt()] == [Found.GONE, Found.FROZEN]


def test_a_guest_is_found_without_its_pid_file(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    first = opened()
    running = first.start(a_spec())
    first.close()
    (machine.info / "7" / "pid").unlink()

    [found] = opened().adopt()

    assert found.running == running


def remove_lock(folder: Path) -> None:
    (folder / "lock").unlink()


def replace_lock(folder: Path) -> None:
    remove_lock(folder)
    (folder / "lock").touch()


def replace_lock_by_a_folder(folder: Path) -> None:
    remove_lock(folder)
    (folder / "lock").mkdir()


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


@pytest.mark.parametrize(
    ("remove", "answers"),
    [
        (remove_lock, True),
        (replace_lock, True),
        (replace_lock_by_a_folder, True),
        (shutil.rmtree, False),
        (replace_by_a_file, False),
    ],
)
def test_a_guest_whose_files_somebody_removed_lives_and_can_be_ended(
    opened: Callable[..., Qemu],
    machine: QemuMachine,
    monkeypatch: pytest.MonkeyPatch,
    remove: Callable[[Path], object],
    answers: bool,
) -> None:
    monkeypatch.setattr(adoption, "_ANSWERS_WITHIN_SECONDS", IMPATIENT if not answers else 60.0)
    first = opened()
    running = first.start(a_spec())
    first.close()
    remove(machine.info / "7")

    second = opened()
    [found] = second.adopt()
    with pytest.raises(HypervisorFailed, match="has a guest here already"):
        second.start(a_spec())
    second.kill(SEVEN)

    assert found.found is Found.RUNNING
    assert (found.running == running) is answers
    assert not Path(f"/proc/{running.vm_id}").exists()


def test_a_pid_that_now_means_another_process_is_not_touched(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    first = opened()
    machine.crash(first.start(a_spec()))
    first.close()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (machine.info / "7" / "pid").write_text(str(stranger.pid))

        second = opened()
        [found] = second.adopt()
        second.kill(SEVEN)
        second.clear(SEVEN)
        lives = stranger.poll() is None
        stranger.kill()

    assert (found.found, lives) == (Found.GONE, True)


def test_a_saving_that_fails_lets_the_guest_run_on(
    opened: Callable[..., Qemu], machine: QemuMachine, heard: Heard
) -> None:
    qemu = opened(suspend_handler=("false",))
    qemu.start(a_spec())

    with pytest.raises(UnableToSuspend, match="false ended with exit code 1"):
        qemu.save(SEVEN, "7-1")

    assert [one.found for one in qemu.adopt()] == [Found.RUNNING]
    assert list(machine.suspended.iterdir()) == []
    assert heard.nothing


def test_a_saving_that_was_cut_short_lets_the_guest_run_on(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    command = [sys.executable, "-m", "system.mortal_node", str(machine.folder), "never", "save"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}) as dying:
        wait_until((machine.suspended / f".{SAVED}.partial").exists)
        dying.kill()

    [found] = opened().adopt()

    assert found.found is Found.RUNNING
    assert list(machine.suspended.iterdir()) == []


def test_commands_under_way_end_when_the_node_manager_does(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    qemu = opened()
    os.kill(qemu.start(a_spec()).vm_id, signal.SIGSTOP)
    ended = threading.Event()

    def pause_in_vain() -> None:
        with pytest.raises((HypervisorFailed, NoSuchVm)):
            qemu.pause(SEVEN)
        ended.set()

    waiting = threading.Thread(target=pause_in_vain)
    waiting.start()
    qemu.close()
    waiting.join()

    assert ended.is_set()


def test_a_guest_that_boots_hears_a_button_that_was_pressed_too_early(
    qemu: Qemu, machine: QemuMachine, heard: Heard, guest_image: Path
) -> None:
    shutil.copy(guest_image, machine.images / "guest.qcow2")

    qemu.start(a_spec(image="guest.qcow2", memory=Mib(128)))
    qemu.power_down(SEVEN)
    wait_until(lambda: not heard.nothing)
    news = heard.next()

    assert (news.what, news.how) == (Happening.ENDED, Ending.POWERED_OFF)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + 120.0
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)
