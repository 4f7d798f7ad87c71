"""What every hypervisor with real guests promises of disks, networks and doors.

Here are the machine's own files, devices and ports, which those that are simulated have none of.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import boot_sectors
from contracts.count import COUNTS, a_counter, let_count, numbers
from contracts.machines import IDLE, PEER, Heard, QemuMachine, a_spec
from system.counting import until
from tashi.adapters.network.guard import NoGuard
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed, UnableToResume, UnableToSuspend
from tashi.domain.identity import Attempt, InstanceId, Mib
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import Found, Happening, Hypervisor

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)
PERSISTENT = (Disk(IDLE, persistent=True),)
TAP = Path("/sys/class/net/tashi7.0")

Opened = Callable[..., Hypervisor]


def found(hypervisor: Hypervisor) -> list[Found]:
    return [one.found for one in hypervisor.adopt()]


@contextmanager
def small_disk(machine: QemuMachine, folder: Path, mib: int) -> Iterator[Path]:
    """A disk of so many MiB, mounted at that folder, which the machine's guests see."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "small", str(folder)]
    subprocess.run(mount, check=True)
    try:
        machine.see(folder)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Disks and memory. -------------------------------------------------------------------------------


def test_what_a_guest_writes_never_reaches_the_image(
    here: QemuMachine, opened: Opened, heard: Heard
) -> None:
    image = here.images / "fill.img"
    boot_sectors.fill(image, 4 << 20)
    before = image.read_bytes()

    opened(here).start(a_spec(image="fill.img"))
    overlay = next(here.scratch.glob("*/7.0.qcow2"))
    until(lambda: overlay.stat().st_size > 2 << 20, lambda: "It writes no more.")

    assert heard.nothing
    assert image.read_bytes() == before


def test_a_guest_on_a_full_disk_freezes_with_the_reason_and_can_go_on(
    here: QemuMachine, opened: Opened, heard: Heard
) -> None:
    boot_sectors.fill(here.images / "fill.img", 64 << 20)
    with small_disk(here, here.folder / "small", 2) as small:
        hypervisor = opened(here, scratch_dir=small)
        hypervisor.start(a_spec(image="fill.img"))

        froze = heard.next()
        hypervisor.unpause(SEVEN)
        again = heard.next()
        hypervisor.kill(SEVEN)

    assert (froze.what, again.what) == (Happening.FROZE, Happening.FROZE)
    assert "No space left on device" in froze.words


def test_a_persistent_disk_is_not_given_to_two_guests(here: QemuMachine, opened: Opened) -> None:
    hypervisor = opened(here)
    hypervisor.start(a_spec(7, disks=PERSISTENT))
    before = here.leftovers()

    with pytest.raises(HypervisorFailed, match=r"idle\.img is in use by another guest"):
        hypervisor.start(a_spec(8, disks=PERSISTENT))

    assert here.leftovers() == before
    assert found(hypervisor) == [Found.RUNNING]


def test_a_guest_whose_disk_somebody_else_has_is_not_restored_and_keeps_its_memory(
    here: QemuMachine, opened: Opened
) -> None:
    again = a_spec(7, disks=PERSISTENT, attempt=Attempt(2), keep_disks=True)
    hypervisor = opened(here)
    hypervisor.start(a_spec(7, disks=PERSISTENT))
    hypervisor.save(SEVEN, "7-1")
    hypervisor.start(a_spec(8, disks=PERSISTENT))

    with pytest.raises(UnableToResume, match="lock"):
        hypervisor.restore(again, "7-1")
    meanwhile = found(hypervisor)
    hypervisor.kill(EIGHT)
    hypervisor.restore(again, "7-1")

    assert meanwhile == [Found.GONE, Found.RUNNING]
    assert found(hypervisor) == [Found.RUNNING, Found.GONE]


def test_a_guest_whose_memory_finds_no_room_runs_on(
    here: QemuMachine, opened: Opened, heard: Heard
) -> None:
    boot_sectors.dirty(here.images / "busy.img")
    with small_disk(here, here.suspended, 1):
        # As it is, without being squeezed.
        hypervisor = opened(here, suspend_handler=("cat",))
        hypervisor.start(a_spec(image="busy.img"))
        until(lambda: b"B" in hypervisor.console(SEVEN, 0, 100)[0], lambda: "It never ran.")

        with pytest.raises(UnableToSuspend, match="space"):
            hypervisor.save(SEVEN, "7-1")

        assert found(hypervisor) == [Found.RUNNING]
        assert list(here.suspended.iterdir()) == []
    assert heard.nothing


@pytest.mark.parametrize(
    ("different", "words"),
    [
        ({"memory": Mib(1 << 30)}, "memory"),
        ({"hints": {"cpumodel": "no-such-cpu"}}, "no-such-cpu"),
        ({"hints": {"diskInterface": "ide,file=/etc/shadow"}}, "not allowed"),
    ],
    ids=["too much memory", "an unknown processor", "an option too many"],
)
def test_a_guest_that_cannot_be_leaves_nothing(
    here: QemuMachine, opened: Opened, different: dict[str, Any], words: str
) -> None:
    hypervisor = opened(here)

    with pytest.raises(HypervisorFailed, match=words):
        hypervisor.start(a_spec(**different))

    assert (here.leftovers(), found(hypervisor)) == ([], [])


# Guests that count. ------------------------------------------------------------------------------


@pytest.mark.parametrize("persistent", [False, True], ids=["its own", "persistent"])
def test_a_guest_stopped_and_started_on_another_machine_counts_on(
    here: QemuMachine, there: QemuMachine, opened: Opened, heard: Heard, persistent: bool
) -> None:
    image = here.images / COUNTS
    boot_sectors.count(image)
    pristine = image.read_bytes()
    source, target = opened(here), opened(there)
    source.start(a_counter(persistent=persistent))
    let_count(source)

    source.power_down(SEVEN)
    heard.next()
    before = numbers(source)
    source.store(SEVEN, "7-1")
    source.clear(SEVEN)
    target.start(a_counter(2, stored="7-1", persistent=persistent))
    let_count(target)
    target.kill(SEVEN)
    all_numbers = numbers(target)

    assert all_numbers[: len(before)] == before
    assert all_numbers == list(range(1, len(all_numbers) + 1))
    assert (image.read_bytes() == pristine) is not persistent


# Networks. ---------------------------------------------------------------------------------------


def scripts(prefix: object) -> ScriptNetworks:
    commands = SystemCommands()
    return ScriptNetworks(commands, NoGuard(commands), f"{prefix}")


def write_script(machine: QemuMachine, text: str) -> Path:
    script = machine.folder / "ifup.1"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return script


def test_a_tap_is_handed_to_the_script_and_gone_with_the_guest(
    here: QemuMachine, opened: Opened
) -> None:
    script = write_script(here, 'ip link show "$1" > /dev/null && echo $1 > $0.said')
    hypervisor = opened(here, networks=scripts(here.folder / "ifup."))

    running = hypervisor.start(a_spec())
    while_it_ran = TAP.exists()
    here.crash(running)
    until(lambda: not TAP.exists(), lambda: "It is still there.")

    assert while_it_ran
    assert Path(f"{script}.said").read_text() == "tashi7.0\n"


def test_a_script_that_fails_fails_the_start_with_its_words(
    here: QemuMachine, opened: Opened
) -> None:
    write_script(here, "echo there is no bridge >&2\nexit 1")
    hypervisor = opened(here, networks=scripts(here.folder / "ifup."))

    with pytest.raises(HypervisorFailed, match="there is no bridge"):
        hypervisor.start(a_spec())

    assert here.leftovers() == []
    assert not TAP.exists()


def test_a_network_without_a_script_is_named(here: QemuMachine, opened: Opened) -> None:
    hypervisor = opened(here, networks=scripts(here.folder / "ifup."))

    with pytest.raises(HypervisorFailed, match=r"There is no .*ifup.1 on this host"):
        hypervisor.start(a_spec())

    assert here.leftovers() == []


# Doors. ------------------------------------------------------------------------------------------


def test_a_source_that_is_late_does_not_fall_into_a_door_that_is_for_another_guest(
    here: QemuMachine, there: QemuMachine, opened: Opened
) -> None:
    source, target = opened(here), opened(there)
    source.start(a_spec())
    incoming = target.prepare_target(a_spec(8), PEER)

    with pytest.raises(HypervisorFailed, match="does not wait for it any more"):
        source.send(SEVEN, there.outdated(incoming))

    assert (found(source), found(target)) == ([Found.RUNNING], [Found.RECEIVING])


def test_a_host_receives_no_more_guests_than_it_may(
    here: QemuMachine, there: QemuMachine, opened: Opened
) -> None:
    source, target = opened(here), opened(there, max_parallel_migrations=1)
    source.start(a_spec())
    incoming = target.prepare_target(a_spec(), PEER)

    with pytest.raises(HypervisorFailed, match="guests are being received already"):
        target.prepare_target(a_spec(8), PEER)
    source.send(SEVEN, incoming)
    target.run(SEVEN)

    assert target.prepare_target(a_spec(8), PEER)


def test_a_guest_for_which_all_is_made_ready_counts_as_received(
    there: QemuMachine, opened: Opened
) -> None:
    refused: list[HypervisorFailed] = []

    def prepare_another(step: str) -> None:
        if step == "disks":
            with pytest.raises(HypervisorFailed, match="guests are being received") as failed:
                target.prepare_target(a_spec(8), PEER)
            refused.append(failed.value)

    target = opened(there, on_step=prepare_another, max_parallel_migrations=1)
    target.prepare_target(a_spec(), PEER)

    assert len(refused) == 1
    assert found(target) == [Found.RECEIVING]
