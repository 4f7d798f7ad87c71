"""Devices of a guest that runs: disks and network cards in and out, another CD.

What is there is asked of QEMU, never remembered, so that whatever was done before a crash is done.
The guest's record names a device from before it is plugged in until after it is out: who moves the
guest rather fails over a device that is not there than forgets one that is.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.domain.errors import HypervisorFailed
from tashi.domain.instance import Disk, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import Networks, Plug, Tap, card_number

_LOOK_AGAIN_SECONDS: Final = 1.0


class _Named(msgspec.Struct):
    name: str


class _Inserted(msgspec.Struct):
    file: str


class _Block(msgspec.Struct):
    qdev: str = ""
    inserted: _Inserted | None = None


@dataclass(frozen=True, slots=True)
class Plugging:
    """Plugs devices; a guest has `patience` seconds to let go of one. `tidy` follows a card out."""

    disks: Disks
    networks: Networks
    patience: float
    tidy: Callable[[], None]

    def alter(self, guest: Guest, spec: GuestSpec) -> None:
        """Give the guest the devices of `spec`; raises HypervisorFailed."""
        before = guest.record.spec
        _note(guest, _both(before, spec))
        try:
            self._change(guest, before, spec)
        except BaseException:
            with suppress(HypervisorFailed):
                _note(guest, _only(before, _there(guest)))
            raise
        _note(guest, spec)

    def _change(self, guest: Guest, before: GuestSpec, spec: GuestSpec) -> None:
        there = _there(guest)
        disks = {disk.port: disk for disk in spec.disks if disk.port}
        nics = {nic.port: nic for nic in spec.nics if nic.port}
        for old in before.disks:
            if old.port and old.port not in disks:
                self._disk_out(guest, old)
        for gone in before.nics:
            if gone.port and gone.port not in nics:
                self._card_out(guest, gone)
        for port, disk in disks.items():
            if devices.disk_name(port) not in there:
                self._disk_in(guest, spec, disk)
        for port, nic in nics.items():
            if devices.card_name(port) not in there:
                self._card_in(guest, nic)
        self._medium(guest, spec)

    # ---- disks --------------------------------------------------------------------------------

    def _disk_in(self, guest: Guest, spec: GuestSpec, disk: Disk) -> None:
        drive, made = devices.plugged(disk), MadeDisks()
        try:
            _drop_node(guest, drive.name)
            file = self.disks.make_one(replace(spec, keep_disks=False, stored=""), drive, made)
            guest.ask(
                "blockdev-add",
                **{"driver": file.format, "node-name": drive.name, "discard": "unmap"},
                file={"driver": "file", "filename": file.path, "discard": "unmap"},
            )
            guest.ask("device_add", **devices.plugged_disk(drive))
        except BaseException:
            _drop_node(guest, drive.name)
            made.unmake()
            raise

    def _disk_out(self, guest: Guest, disk: Disk) -> None:
        drive = devices.plugged(disk)
        self._take_out(guest, drive.name, f"disk {disk.uri}")
        _drop_node(guest, drive.name)
        self.disks.remove_one(guest.id, drive)

    # ---- network cards ------------------------------------------------------------------------

    def _card_in(self, guest: Guest, nic: Nic) -> None:
        number = card_number(nic.port)
        name = f"net{number}"
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

    def _card_out(self, guest: Guest, nic: Nic) -> None:
        self._take_out(guest, devices.card_name(nic.port), f"network card {nic.mac}")
        _drop_netdev(guest, f"net{card_number(nic.port)}")
        self.tidy()

    def _take_out(self, guest: Guest, name: str, what: str) -> None:
        """Ask for a device back, and wait until the guest has let go of it."""
        deadline = time.monotonic() + self.patience
        asked = False
        while name in _there(guest):
            if not asked:
                with suppress(HypervisorFailed):  # it has been asked already, before a crash
                    guest.ask("device_del", id=name)
                asked = True
            left = deadline - time.monotonic()
            if left <= 0:
                raise HypervisorFailed(
                    f"The guest did not let go of {what} within {self.patience:g} s: see that "
                    "nothing in it uses that, and that it can unplug PCI devices."
                )
            guest.stirred.wait(min(left, _LOOK_AGAIN_SECONDS))
            guest.stirred.clear()

    # ---- the CD drive -------------------------------------------------------------------------

    def _medium(self, guest: Guest, spec: GuestSpec) -> None:
        wanted = self.disks.medium(spec)
        blocks = msgspec.convert(guest.ask("query-block"), list[_Block])
        drive = next((block for block in blocks if block.qdev == devices.CDROM), None)
        if drive is None:
            if wanted is None:
                return
            raise HypervisorFailed("The guest has no CD drive: its IDE ports are all taken.")
        there = None if drive.inserted is None else drive.inserted.file
        if wanted is None and there is not None:
            guest.ask("eject", id=devices.CDROM, force=True)
        elif wanted is not None and wanted.path != there:
            guest.ask(
                "blockdev-change-medium",
                id=devices.CDROM,
                filename=wanted.path,
                format=wanted.format,
                **{"read-only-mode": "read-only", "force": True},
            )
        _drop_node(guest, devices.CD_MEDIUM, unless=wanted is not None and wanted.path == there)


def _note(guest: Guest, spec: GuestSpec) -> None:
    known = {nic.mac: nic for nic in guest.record.nics}
    nics = tuple(known.get(nic.mac, nic) for nic in spec.nics)
    fresh = replace(guest.record.spec, disks=spec.disks, nics=spec.nics, cdrom=spec.cdrom)
    if any(nic.port for nic in nics) and forwards.has_forwards(guest.record.command):
        nics = forwards.with_forwards(nics, guest.ask_as_a_human(forwards.QUESTION))
    try:
        guest.remember(lambda record: replace(record, spec=fresh, nics=nics))
    except OSError as error:
        raise HypervisorFailed(f"The guest's record cannot be written: {error}.") from error


def _both(before: GuestSpec, after: GuestSpec) -> GuestSpec:
    """The guest with everything that it has or will have."""
    more_disks = tuple(disk for disk in after.disks if disk not in before.disks)
    macs = {nic.mac for nic in before.nics}
    more_nics = tuple(nic for nic in after.nics if nic.mac not in macs)
    return replace(before, disks=(*before.disks, *more_disks), nics=(*before.nics, *more_nics))


def _only(spec: GuestSpec, there: set[str]) -> GuestSpec:
    """The guest without those devices that should be in a port and are not."""
    disks = (one for one in spec.disks if not one.port or devices.disk_name(one.port) in there)
    nics = (one for one in spec.nics if not one.port or devices.card_name(one.port) in there)
    return replace(spec, disks=tuple(disks), nics=tuple(nics))


def _there(guest: Guest) -> set[str]:
    """The names of all devices that have one."""
    answer = guest.ask("qom-list", path="/machine/peripheral")
    return {one.name for one in msgspec.convert(answer, list[_Named])}


def _drop_node(guest: Guest, name: str, *, unless: bool = False) -> None:
    if not unless:
        with suppress(HypervisorFailed):  # it is not there, or in use
            guest.ask("blockdev-del", **{"node-name": name})


def _drop_netdev(guest: Guest, name: str) -> None:
    with suppress(HypervisorFailed):  # it is not there
        guest.ask("netdev_del", id=name)


def _backend(guest: Guest, name: str, plug: Plug) -> dict[str, object]:
    if isinstance(plug, Tap):
        return {"type": "tap", "fd": name}
    rules = [{"str": f"tcp:127.0.0.1:0-:{port}"} for port in plug.forward]
    return {"type": "user", "hostname": guest.record.spec.name, "hostfwd": rules}
