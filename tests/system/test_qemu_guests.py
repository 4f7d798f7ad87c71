"""What befalls guests under a real QEMU: full disks, locked images, hung monitors, networks."""

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

import boot_sectors
from contracts.machines import (
    IDLE,
    Heard,
    QemuMachine,
    a_spec,
)
from system.mortal_node import SAVED
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.network.guard import NoGuard
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import (
    HypervisorFailed,
    NoSuchVm,
    UnableToSuspend,
)
from tashi.domain.guest import Ending
from tashi.domain.identity import InstanceId, Mib
from tashi.domain.instance import Disk
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


def test_what_a_guest_writes_never_reaches_the_image(
    qemu: Qemu, machine: QemuMachine, heard: Heard
) -> None:
    image = machine.images / "fill.img"
    boot_sectors.fill(image, 4 << 20)
    before = image.read_bytes()

    qemu.start(a_spec(image="fill.img"))
    overlay = next(machine.scratch.glob("*/7.0.qcow2"))
    wait_until(lambda: overlay.stat().st_size > 2 << 20)

    assert heard.nothing
    assert image.read_bytes() == before


def test_a_guest_on_a_full_disk_freezes_with_the_reason_and_can_go_on(
    opened: Callable[..., Qemu], machine: QemuMachine, heard: Heard
) -> None:
    boot_sectors.fill(machine.images / "fill.img", 64 << 20)
    with small_disk(machine.folder / "small") as small:
        qemu = opened(scratch_dir=small)
        qemu.start(a_spec(image="fill.img"))

        froze = heard.next()
        qemu.unpause(SEVEN)
        again = heard.next()
        qemu.kill(SEVEN)

    assert (froze.what, again.what) == (Happening.FROZE, Happening.FROZE)
    assert "No space left on device" in froze.words


def test_a_persistent_disk_is_not_given_to_two_guests(qemu: Qemu, machine: QemuMachine) -> None:
    kept = (Disk(IDLE, persistent=True),)
    qemu.start(a_spec(7, disks=kept))
    before = machine.leftovers()

    with pytest.raises(HypervisorFailed, match=r"idle.img is in use by another guest"):
        qemu.start(a_spec(8, disks=kept))

    assert machine.leftovers() == before
    assert len(machine.qemus()) == 1


def test_a_guest_whose_qemu_refuses_its_options_leaves_nothing(
    qemu: Qemu, machine: QemuMachine
) -> None:
    with pytest.raises(HypervisorFailed, match="no-such-cpu"):
        qemu.start(a_spec(hints={"cpumodel": "no-such-cpu"}))

    assert (machine.leftovers(), machine.qemus()) == ([], [])


def test_a_hint_that_would_add_an_option_is_refused(qemu: Qemu, machine: QemuMachine) -> None:
    with pytest.raises(HypervisorFailed, match="not allowed"):
        qemu.start(a_spec(hints={"diskInterface": "ide,file=/etc/shadow"}))

    assert machine.leftovers() == []


def test_a_guest_with_more_memory_than_there_is_does_not_start(
    qemu: Qemu, machine: QemuMachine
) -> None:
    with pytest.raises(HypervisorFailed, match="memory"):
        qemu.start(a_spec(memory=Mib(1 << 30)))

    assert (machine.leftovers(), machine.qemus()) == ([], [])


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


def test_a_tap_is_handed_to_the_script_and_gone_with_the_guest(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    script = write_script(machine, '#!/bin/sh\nip link show "$1" > /dev/null && echo $1 > $0.said')
    qemu = opened(networks=scripts(str(script.with_suffix("")) + "."))

    running = qemu.start(a_spec())
    while_it_ran = Path("/sys/class/net/tashi7.0").exists()
    machine.crash(running)
    wait_until(lambda: not Path("/sys/class/net/tashi7.0").exists())

    assert while_it_ran
    assert Path(f"{script}.said").read_text() == "tashi7.0\n"


def test_a_script_that_fails_fails_the_start_with_its_words(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    script = write_script(machine, "#!/bin/sh\necho there is no bridge >&2\nexit 1")
    qemu = opened(networks=scripts(str(script.with_suffix("")) + "."))

    with pytest.raises(HypervisorFailed, match="there is no bridge"):
        qemu.start(a_spec())

    assert machine.leftovers() == []
    assert not Path("/sys/class/net/tashi7.0").exists()


def test_a_network_without_a_script_is_named(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    qemu = opened(networks=scripts(f"{machine.folder}/ifup."))

    with pytest.raises(HypervisorFailed, match=r"There is no .*ifup.1 on this host"):
        qemu.start(a_spec())


def test_a_guest_that_boots_hears_a_button_that_was_pressed_too_early(
    qemu: Qemu, machine: QemuMachine, heard: Heard, guest_image: Path
) -> None:
    shutil.copy(guest_image, machine.images / "guest.qcow2")

    qemu.start(a_spec(image="guest.qcow2", memory=Mib(128)))
    qemu.power_down(SEVEN)
    wait_until(lambda: not heard.nothing)
    news = heard.next()

    assert (news.what, news.how) == (Happening.ENDED, Ending.POWERED_OFF)


def scripts(prefix: object) -> ScriptNetworks:
    commands = SystemCommands()
    return ScriptNetworks(commands, NoGuard(commands), f"{prefix}")


def write_script(machine: QemuMachine, text: str) -> Path:
    script = machine.folder / "ifup.1"
    script.write_text(text + "\n")
    script.chmod(0o755)
    return script


class small_disk:  # noqa: N801  reads as a noun: with small_disk(…)
    """A disk of two MiB, mounted at a new folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        self._folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(self._folder)]
        subprocess.run(mount, check=True)
        return self._folder

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self._folder)], check=True)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + 120.0
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)
