"""Devices, displays and keyboards of guests under a real QEMU."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn

import pytest

import boot_sectors
import viewer
from contracts.machines import A_NIC, IDLE, SPEAKS, Heard, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.plugs import Plugs
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import Attempt, InstanceId, Mib
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import Found

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
MORE = Disk(SPEAKS, port=1)


@pytest.fixture
def qemu(machine: QemuMachine) -> Iterator[Qemu]:
    opened = machine.open()
    opened.listen(Heard())
    yield opened
    opened.close()


def devices(qemu: Qemu) -> set[str]:
    """What QEMU itself has plugged in."""
    answer = qemu._guests.known(SEVEN).ask("qom-list", path="/machine/peripheral")
    assert isinstance(answer, list)
    return {one["name"] for one in answer if one["name"][:4] in {"plug", "nic1", "nic2"}}


def overlays(machine: QemuMachine) -> list[str]:
    return sorted(path.name for path in machine.scratch.glob("*/*.qcow2"))


def test_a_disk_that_cannot_be_plugged_in_changes_nothing(qemu: Qemu, machine: QemuMachine) -> None:
    plain, kept = a_spec(), Disk(SPEAKS, persistent=True, port=1)
    qemu.start(a_spec(8, disks=(Disk(SPEAKS, persistent=True),)))
    qemu.start(plain)

    with pytest.raises(HypervisorFailed):
        qemu.alter(replace(plain, disks=(*plain.disks, kept)))
    refused = devices(qemu)
    qemu.alter(replace(plain, disks=(*plain.disks, Disk(IDLE, port=1))))

    assert refused == set()

    assert devices(qemu) == {"plug1"}


def test_a_guest_with_plugged_devices_is_suspended_and_resumed(
    qemu: Qemu, machine: QemuMachine
) -> None:
    boot_sectors.count(machine.images / "count.img")
    plain = a_spec(disks=(Disk("count.img"),))
    full = replace(plain, disks=(*plain.disks, MORE), cdrom=IDLE)
    qemu.start(plain)
    qemu.alter(full)
    let_count(qemu)

    qemu.save(SEVEN, "7-1")
    qemu.restore(replace(full, attempt=Attempt(2), keep_disks=True), "7-1")
    let_count(qemu)
    numbers = boot_sectors.counted(qemu.console(SEVEN, 0, 1 << 20)[0])

    assert numbers == list(range(1, len(numbers) + 1))
    assert devices(qemu) == {"plug1"}


def test_a_guest_with_plugged_devices_moves_to_another_machine(
    qemu: Qemu, machine: QemuMachine
) -> None:
    boot_sectors.count(machine.images / "count.img")
    plain = a_spec(disks=(Disk("count.img"),))
    full = replace(plain, disks=(*plain.disks, MORE), cdrom=IDLE)
    qemu.start(plain)
    qemu.alter(full)
    let_count(qemu)
    neighbour = machine.neighbour()
    there = neighbour.open()

    qemu.send(SEVEN, there.prepare_target(full, "127.0.0.1"))
    before = qemu.console(SEVEN, 0, 1 << 20)[0]
    there.run(SEVEN)
    let_count(there)
    plugged = devices(there)
    numbers = boot_sectors.counted(before + there.console(SEVEN, 0, 1 << 20)[0])
    there.close()
    neighbour.close()

    assert numbers == list(range(1, len(numbers) + 1))
    assert plugged == {"plug1"}


def test_a_guest_moves_though_its_monitor_hung_over_a_disk_that_never_got_in(
    qemu: Qemu, machine: QemuMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, **__: object) -> NoReturn:
        raise HypervisorFailed("QEMU did not answer within 1 s.")

    plain = a_spec()
    qemu.start(plain)
    with monkeypatch.context() as patched:
        patched.setattr(Plugs, "put_disk", lambda *_: patched.setattr(Plugs, "there", hang))
        patched.setattr(Plugs, "change_medium", hang)
        with pytest.raises(HypervisorFailed, match="did not answer"):
            qemu.alter(replace(plain, disks=(*plain.disks, MORE)))
    neighbour = machine.neighbour()
    there = neighbour.open()

    qemu.send(SEVEN, there.prepare_target(plain, "127.0.0.1"))
    there.run(SEVEN)
    [arrived] = there.adopt()
    there.close()
    neighbour.close()

    assert arrived.found is Found.RUNNING


def test_a_linux_guest_gets_devices_and_gives_them_back_also_across_a_crash(
    qemu: Qemu, machine: QemuMachine, guest_image: Path
) -> None:
    (machine.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
    plain = a_spec(disks=(Disk("guest.qcow2"),), memory=Mib(128))
    card = replace(A_NIC, mac="52:54:00:12:34:57", port=2)
    full = replace(plain, disks=(*plain.disks, MORE), nics=(A_NIC, card))
    qemu.start(plain)
    until_said(qemu, b"GUEST-READY")

    qemu.alter(full)
    plugged, made = devices(qemu), overlays(machine)
    qemu.close()
    again = machine.open()
    again.adopt()
    there = again.alter(full)
    still = devices(again)
    [overlay] = machine.scratch.glob("*/7.p1.qcow2")
    with overlay.open("r+b") as disk:
        disk.seek(0, os.SEEK_END)
        disk.write(b"written by the guest")
    machine.human(SEVEN, "device_del", id="plug1")
    while "plug1" in devices(again):
        sleep(0.1)
    again.alter(full)
    back, kept = devices(again), overlay.read_bytes()
    again.alter(plain)
    out = devices(again)
    again.close()

    assert (plugged, made) == ({"plug1", "nic2"}, ["7.0.qcow2", "7.p1.qcow2"])
    assert still == plugged
    assert back == plugged
    assert kept.endswith(b"written by the guest")
    assert [nic.mac for nic in there.nics] == [A_NIC.mac, card.mac]
    assert all(nic.forwards for nic in there.nics)
    assert (out, overlays(machine)) == (set(), ["7.0.qcow2"])


def test_nobody_sees_a_display_without_the_password(qemu: Qemu) -> None:
    qemu.start(a_spec())

    screen = qemu.start_vnc(SEVEN, "secret", on_socket=False)
    with socket.create_connection((screen.address, screen.port), 10) as line:
        offered = viewer.offered(line)
    qemu.stop_vnc(SEVEN)

    assert screen.address == "127.0.0.1"
    assert offered == bytes([viewer.PASSWORD])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((screen.address, screen.port), 10)


def test_a_display_on_a_socket_is_private_and_outlives_the_node_manager(
    qemu: Qemu, machine: QemuMachine
) -> None:
    qemu.start(a_spec())
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=True)

    qemu.close()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(screen.socket)
        offered = viewer.offered(line)

    assert offered == bytes([viewer.PASSWORD])
    assert Path(screen.socket).stat().st_mode & 0o077 == 0


def let_count(qemu: Qemu, more: int = 10) -> None:
    deadline = monotonic() + 60
    wanted = len(boot_sectors.counted(qemu.console(SEVEN, 0, 1 << 20)[0])) + more
    while len(boot_sectors.counted(qemu.console(SEVEN, 0, 1 << 20)[0])) < wanted:
        assert monotonic() < deadline, "It does not count."
        sleep(0.05)


def until_said(qemu: Qemu, words: bytes) -> None:
    deadline = monotonic() + 120
    while words not in qemu.console(SEVEN, 0, 1 << 20)[0]:
        assert monotonic() < deadline, "It does not boot."
        sleep(0.05)
