"""Devices, displays and keyboards of guests under a real QEMU."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn

import pytest

from contracts.machines import IDLE, SPEAKS, Heard, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.plugs import Plugs
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
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
