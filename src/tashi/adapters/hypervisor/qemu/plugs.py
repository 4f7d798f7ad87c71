"""How single devices go into a QEMU and out of it, by its monitor."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.domain.errors import HypervisorFailed
from tashi.domain.instance import Nic
from tashi.ports.network import Networks, Plug, Tap, card_number

_LETTING_GO_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 0.05


class _Named(msgspec.Struct):
    name: str


class _Node(msgspec.Struct):
    name: str = msgspec.field(name="node-name")


class _Inserted(msgspec.Struct):
    file: str


class _Block(msgspec.Struct):
    qdev: str = ""
    inserted: _Inserted | None = None


@dataclass(frozen=True, slots=True)
class Plugs:
    """The hands for guests that are QEMUs of our own."""

    networks: Networks

    def there(self, guest: Guest) -> set[str]:
        """The names of all devices that have one."""
        answer = guest.ask("qom-list", path="/machine/peripheral")
        return {one.name for one in msgspec.convert(answer, list[_Named])}

    def put_disk(self, guest: Guest, drive: Drive, file: DiskFile) -> None:
        """Add its node, and then the device."""
        _drop_left_node(guest, drive.name)
        try:
            guest.ask(
                "blockdev-add",
                **{"driver": file.format, "node-name": drive.name, "discard": "unmap"},
                file={"driver": "file", "filename": file.path, "discard": "unmap"},
            )
            guest.ask("device_add", **devices.plugged_disk(drive))
        except BaseException:
            _drop_node(guest, drive.name)
            raise

    def put_card(self, guest: Guest, nic: Nic) -> None:
        """Add its network side, and then the device."""
        number = card_number(nic.port)
        name = forwards.netdev(number)
        with self.networks.wire(guest.id, {number: nic}) as wiring:
            plug = wiring[number]
            _drop_netdev(guest, name)
            try:
                if isinstance(plug, Tap):
                    guest.hand(name, plug.descriptor)
                guest.ask("netdev_add", id=name, **_backend(guest, name, plug))
                guest.ask("device_add", **devices.plugged_card(nic, plug))
            except BaseException:
                _drop_netdev(guest, name)
                raise

    def ask_back(self, guest: Guest, name: str) -> None:
        """By the name of the device."""
        guest.ask("device_del", id=name)

    def clear_disk(self, guest: Guest, drive: Drive) -> None:
        """Its node."""
        _drop_node(guest, drive.name)

    def clear_card(self, guest: Guest, nic: Nic) -> None:
        """Its network side."""
        _drop_netdev(guest, forwards.netdev(card_number(nic.port)))

    def change_medium(self, guest: Guest, medium: DiskFile | None) -> None:
        """Ask what is in the drive, and change it."""
        blocks = msgspec.convert(guest.ask("query-block"), list[_Block])
        drive = next((block for block in blocks if block.qdev == devices.CDROM), None)
        if drive is None:
            if medium is None:
                return
            raise HypervisorFailed("The guest has no CD drive: its IDE ports are all taken.")
        there = None if drive.inserted is None else drive.inserted.file
        if medium is None and there is not None:
            guest.ask("eject", id=devices.CDROM, force=True)
        elif medium is not None and medium.path != there:
            guest.ask(
                "blockdev-change-medium",
                id=devices.CDROM,
                filename=medium.path,
                format=medium.format,
                **{"read-only-mode": "read-only", "force": True},
            )
        if medium is None or medium.path != there:
            _drop_node(guest, devices.CD_MEDIUM)

    def cards(self, guest: Guest, nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
        """As QEMU's own network has them, where a guest is in that."""
        if not forwards.has_forwards(guest.record.command):
            return nics
        return forwards.with_forwards(nics, guest.ask_as_a_human(forwards.QUESTION))


def _drop_node(guest: Guest, name: str) -> None:
    with suppress(HypervisorFailed):  # it is not there, or in use
        guest.ask("blockdev-del", **{"node-name": name})


def _drop_left_node(guest: Guest, name: str) -> None:
    """Remove the node of a device that is gone; QEMU may hold on to it for a moment longer."""
    deadline = time.monotonic() + _LETTING_GO_SECONDS
    while name in _nodes(guest) and time.monotonic() < deadline:
        _drop_node(guest, name)
        guest.stirred.wait(_LOOK_AGAIN_SECONDS)
        guest.stirred.clear()


def _nodes(guest: Guest) -> set[str]:
    answer = guest.ask("query-named-block-nodes", flat=True)
    return {one.name for one in msgspec.convert(answer, list[_Node])}


def _drop_netdev(guest: Guest, name: str) -> None:
    with suppress(HypervisorFailed):  # it is not there
        guest.ask("netdev_del", id=name)


def _backend(guest: Guest, name: str, plug: Plug) -> dict[str, object]:
    if isinstance(plug, Tap):
        return {"type": "tap", "fd": name}
    rules = [{"str": f"tcp:127.0.0.1:0-:{port}"} for port in plug.forward]
    return {"type": "user", "hostname": guest.record.spec.name, "hostfwd": rules}
