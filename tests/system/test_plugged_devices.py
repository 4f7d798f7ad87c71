"""Devices of guests that run, whichever backend runs them: they come along, and go back."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import pytest

import boot_sectors
from contracts.machines import A_NIC, IDLE, SPEAKS, Heard, QemuMachine, a_spec
from contracts.test_hypervisor_displays import medium
from tashi.adapters.hypervisor.qemu.devices import card_name, disk_name
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.identity import Attempt, InstanceId, Mib
from tashi.domain.instance import PORTS, Disk
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import card_number

pytestmark = pytest.mark.qemu

Real = Qemu
"""Or Libvirt, which is asked in the same way."""
SEVEN = InstanceId(7)
MORE = Disk(SPEAKS, port=1)
BOOT_SECONDS = 240
DISKS: Final = {disk_name(port): disk_name(port) for port in range(1, PORTS + 1)}
CARDS: Final = {f"net{card_number(port)}": card_name(port) for port in range(1, PORTS + 1)}
PLUGGED: Final = {**DISKS, **CARDS, **{name: name for name in CARDS.values()}}
"""What is in ports, by QEMU's names without libvirt's sign of an alias."""


@pytest.fixture(params=["qemu", pytest.param("libvirt", marks=pytest.mark.libvirt)])
def machine(request: pytest.FixtureRequest, verdict: Path) -> Iterator[QemuMachine]:
    made = _made(request, verdict)
    yield made
    made.close()


def _made(request: pytest.FixtureRequest, verdict: Path) -> QemuMachine:
    if request.param == "qemu":
        return QemuMachine.made(verdict)
    from contracts.libvirt_machines import LibvirtMachine  # noqa: PLC0415  needs make compiled

    made = LibvirtMachine.made(verdict)
    made.daemons = request.getfixturevalue("libvirtds")
    return made


@pytest.fixture
def opened(machine: QemuMachine) -> Iterator[Real]:
    opened = machine.open()
    opened.listen(Heard())
    yield opened
    opened.close()


def devices(opened: Real) -> set[str]:
    """What QEMU itself has plugged in."""
    answer = opened._guests.known(SEVEN).ask("qom-list", path="/machine/peripheral")
    assert isinstance(answer, list)
    names = {one["name"].removeprefix("ua-") for one in answer}
    return {ours for name, ours in PLUGGED.items() if name in names}


def overlays(machine: QemuMachine) -> list[str]:
    return sorted(path.name for path in machine.scratch.glob("*/*.qcow2"))


def counting_with_more(opened: Real, machine: QemuMachine) -> GuestSpec:
    """A guest that counts, with a disk and a CD that were put in while it ran."""
    boot_sectors.count(machine.images / "count.img")
    plain = a_spec(disks=(Disk("count.img"),))
    full = replace(plain, disks=(*plain.disks, MORE), cdrom=IDLE)
    opened.start(plain)
    opened.alter(full)
    let_count(opened)
    return full


def test_a_guest_with_plugged_devices_is_suspended_and_resumed(
    opened: Real, machine: QemuMachine
) -> None:
    full = counting_with_more(opened, machine)

    opened.save(SEVEN, "7-1")
    opened.restore(replace(full, attempt=Attempt(2), keep_disks=True), "7-1")
    let_count(opened)
    numbers = boot_sectors.counted(opened.console(SEVEN, 0, 1 << 20)[0])

    assert numbers == list(range(1, len(numbers) + 1))
    assert devices(opened) == {"plug1"}
    assert medium(opened) == IDLE


def test_a_guest_with_plugged_devices_moves_to_another_machine(
    opened: Real, machine: QemuMachine
) -> None:
    full = counting_with_more(opened, machine)
    neighbour = machine.neighbour()
    there = neighbour.open()

    opened.send(SEVEN, there.prepare_target(full, "127.0.0.1"))
    before = opened.console(SEVEN, 0, 1 << 20)[0]
    there.run(SEVEN)
    let_count(there)
    plugged, in_the_drive = devices(there), medium(there)
    numbers = boot_sectors.counted(before + there.console(SEVEN, 0, 1 << 20)[0])
    there.close()
    neighbour.close()

    assert numbers == list(range(1, len(numbers) + 1))
    assert plugged == {"plug1"}
    assert in_the_drive == IDLE


def test_a_linux_guest_gets_devices_and_gives_them_back_also_across_a_crash(
    opened: Real, machine: QemuMachine, guest_image: Path
) -> None:
    (machine.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
    plain = a_spec(disks=(Disk("guest.qcow2"),), memory=Mib(128))
    card = replace(A_NIC, mac="52:54:00:12:34:57", port=2)
    full = replace(plain, disks=(*plain.disks, MORE), nics=(A_NIC, card))
    opened.start(plain)
    until_said(opened, b"GUEST-READY")

    opened.alter(full)
    plugged, made = devices(opened), overlays(machine)
    opened.close()
    again = machine.open()
    again.adopt()
    there = again.alter(full)
    still = devices(again)
    [overlay] = machine.scratch.glob("*/7.p1.qcow2")
    with overlay.open("r+b") as disk:
        disk.seek(0, os.SEEK_END)
        disk.write(b"written by the guest")
    machine.take_out(SEVEN, "plug1")
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


def let_count(opened: Real, more: int = 10) -> None:
    deadline = monotonic() + 60
    wanted = len(boot_sectors.counted(opened.console(SEVEN, 0, 1 << 20)[0])) + more
    while len(boot_sectors.counted(opened.console(SEVEN, 0, 1 << 20)[0])) < wanted:
        assert monotonic() < deadline, "It does not count."
        sleep(0.05)


def until_said(opened: Real, words: bytes) -> None:
    deadline = monotonic() + BOOT_SECONDS
    while words not in opened.console(SEVEN, 0, 1 << 20)[0]:
        assert monotonic() < deadline, "It does not boot."
        sleep(0.05)
