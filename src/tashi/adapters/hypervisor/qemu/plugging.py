"""Devices of a guest that runs: disks and network cards in and out, another CD.

What is there is asked of the guest's QEMU, never remembered, so that whatever was done before a
crash is done. The guest's record names a device from before it is plugged in until after it is out:
who moves the guest rather fails over a device that is not there than forgets one that is. How a
single device goes in and out is up to the `Hands`.
"""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Final, Generic, Protocol, TypeVar

from tashi.adapters.hypervisor.qemu import devices
from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.remembered import Pluggable
from tashi.adapters.hypervisor.qemu.sayings import disk_in_use
from tashi.domain.errors import HypervisorFailed
from tashi.domain.instance import PORTS, Disk, Nic
from tashi.ports.hypervisor import GuestSpec

_log = getLogger(__name__)

_LOOK_AGAIN_SECONDS: Final = 1.0


G = TypeVar("G", bound=Pluggable)
H_contra = TypeVar("H_contra", bound=Pluggable, contravariant=True)


class Hands(Protocol[H_contra]):
    """Puts single devices into a guest and takes them out; methods raise HypervisorFailed."""

    def there(self, guest: H_contra) -> set[str]:
        """The names of the devices that the guest has, and of others."""
        ...

    def put_disk(self, guest: H_contra, drive: Drive, file: DiskFile) -> None:
        """Plug in a disk; nothing is left of it when this fails."""
        ...

    def put_card(self, guest: H_contra, nic: Nic) -> None:
        """Plug in a network card; nothing is left of it when this fails."""
        ...

    def ask_back(self, guest: H_contra, name: str) -> None:
        """Ask the guest to let go of a device, which it may do later; it may have been asked."""
        ...

    def clear_disk(self, guest: H_contra, drive: Drive) -> None:
        """Remove what is left of a disk that is out."""
        ...

    def clear_card(self, guest: H_contra, nic: Nic) -> None:
        """Remove what is left of a network card that is out."""
        ...

    def change_medium(self, guest: H_contra, medium: DiskFile | None) -> None:
        """Put that into the CD drive, or nothing; harmless when it is there."""
        ...

    def cards(self, guest: H_contra, nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
        """Network cards with the ports that lead to them now."""
        ...


@dataclass(frozen=True, slots=True)
class Plugging(Generic[G]):
    """Plugs devices; a guest has `patience` seconds to let go of one.

    `tidy` follows a card that is out, or did not get in; `on_step` is told how far each change is.
    """

    hands: Hands[G]
    disks: Disks
    patience: float
    tidy: Callable[[], None]
    on_step: Steps = lambda _: None

    def alter(self, guest: G, spec: GuestSpec) -> None:
        """Give the guest the devices of `spec`; raises HypervisorFailed."""
        self.settle(guest)
        before = guest.record.spec
        self._note(guest, _both(before, spec), plugging=_ports(spec) - _ports(before))
        self.on_step("plugging")
        try:
            self._change(guest, before, spec)
        except BaseException:
            # Also what went in although it was said to have failed: it is to be taken out again.
            with suppress(HypervisorFailed):
                self._note(guest, self._left(_both(before, spec), self.hands.there(guest)))
            self.tidy()
            raise
        self.on_step("plugged")
        self._note(guest, spec)
        self._remove_files(guest, spec)

    def settle(self, guest: G) -> None:
        """Forget the devices that an alteration was to plug in, and that are not in.

        For whoever is to go by the record: while a monitor hangs it cannot be known. Raises
        HypervisorFailed when it still cannot.
        """
        ports = set(guest.record.plugging)
        if not ports:
            return
        spec, there = guest.record.spec, self.hands.there(guest)

        def is_in(port: int, name: str) -> bool:
            return port not in ports or name in there

        disks = (one for one in spec.disks if is_in(one.port, devices.disk_name(one.port)))
        nics = (one for one in spec.nics if is_in(one.port, devices.card_name(one.port)))
        settled = replace(spec, disks=tuple(disks), nics=tuple(nics))
        self._note(guest, settled)
        self._remove_files(guest, settled)

    def _change(self, guest: G, before: GuestSpec, spec: GuestSpec) -> None:
        there = self.hands.there(guest)
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
                self._disk_in(guest, spec, disk, was_in=disk in before.disks)
        for port, nic in nics.items():
            if devices.card_name(port) not in there:
                self.hands.put_card(guest, nic)
        self.hands.change_medium(guest, self.disks.medium(spec))

    def _disk_in(self, guest: G, spec: GuestSpec, disk: Disk, *, was_in: bool) -> None:
        """Plug in a disk; one that the guest has let go of by itself is as the guest left it."""
        drive, made = devices.plugged(disk), MadeDisks()
        kept = was_in and self.disks.has(guest.id, drive)
        try:
            file = self.disks.make_one(replace(spec, keep_disks=kept, stored=""), drive, made)
            self.on_step("disk made")
            self.hands.put_disk(guest, drive, file)
        except BaseException as failed:
            # It may be in all the same: nobody has answered in time.
            with suppress(HypervisorFailed):
                if drive.name not in self.hands.there(guest):
                    made.unmake()
            if in_use := disk_in_use(str(failed), disk.uri):
                raise HypervisorFailed(in_use) from failed
            raise

    def _disk_out(self, guest: G, disk: Disk) -> None:
        drive = devices.plugged(disk)
        self._take_out(guest, drive.name, f"disk {disk.uri}")
        self.on_step("let go")
        self.hands.clear_disk(guest, drive)

    def _card_out(self, guest: G, nic: Nic) -> None:
        self._take_out(guest, devices.card_name(nic.port), f"network card {nic.mac}")
        self.on_step("let go")
        self.hands.clear_card(guest, nic)
        self.tidy()

    def _remove_files(self, guest: G, spec: GuestSpec) -> None:
        """Remove what was written to disks that are out, also those before a crash.

        Only now: a guest that ends before all is done may start with what it had.
        """
        kept = {disk.port for disk in spec.disks}
        for port in range(1, PORTS + 1):
            if port not in kept:
                with suppress(OSError):  # it goes with the guest
                    self.disks.remove_one(guest.id, devices.in_port(port))

    def _take_out(self, guest: G, name: str, what: str) -> None:
        """Ask for a device back, and wait until the guest has let go of it."""
        deadline = time.monotonic() + self.patience
        asked = False
        while name in self.hands.there(guest):
            if not asked:
                with suppress(HypervisorFailed):  # it has been asked already, before a crash
                    self.hands.ask_back(guest, name)
                asked = True
                self.on_step("asked back")
            left = deadline - time.monotonic()
            if left <= 0:
                raise HypervisorFailed(
                    f"The guest did not let go of {what} within {self.patience:g} s: see that "
                    "nothing in it uses that, and that it can unplug PCI devices; then give the "
                    "same command again."
                )
            guest.stirred.wait(min(left, _LOOK_AGAIN_SECONDS))
            guest.stirred.clear()

    def _left(self, spec: GuestSpec, there: set[str]) -> GuestSpec:
        """The guest without those devices that should be in a port, and of which nothing is left.

        A disk that the guest let go of by itself still has what the guest wrote to it.
        """

        def is_left(disk: Disk) -> bool:
            if not disk.port or devices.disk_name(disk.port) in there:
                return True
            return self.disks.has(spec.instance_id, devices.plugged(disk))

        nics = (one for one in spec.nics if not one.port or devices.card_name(one.port) in there)
        return replace(spec, disks=tuple(filter(is_left, spec.disks)), nics=tuple(nics))

    def _note(self, guest: G, spec: GuestSpec, plugging: AbstractSet[int] = frozenset()) -> None:
        known = {nic.mac: nic for nic in guest.record.nics}
        nics = tuple(known.get(nic.mac, nic) for nic in spec.nics)
        if any(nic.port for nic in nics):
            nics = self._led_to(guest, nics)
        fresh = replace(guest.record.spec, disks=spec.disks, nics=spec.nics, cdrom=spec.cdrom)
        try:
            guest.remember(
                lambda record: replace(
                    record, spec=fresh, nics=nics, plugging=tuple(sorted(plugging))
                )
            )
        except OSError as error:
            raise HypervisorFailed(
                f"The guest's record cannot be written: {error.strerror or error}."
            ) from error

    def _led_to(self, guest: G, nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
        """Those cards with the ports that lead to them, as far as these can be learnt.

        What is in is in: who could not say so would leave a card that nobody knows of.
        """
        try:
            return self.hands.cards(guest, nics)
        except HypervisorFailed as failed:
            _log.warning("Instance %d: which ports lead to it is not known: %s", guest.id, failed)
            return nics


def _ports(spec: GuestSpec) -> set[int]:
    """The ports that something is in."""
    disks = {disk.port for disk in spec.disks if disk.port}
    return disks | {nic.port for nic in spec.nics if nic.port}


def _both(before: GuestSpec, after: GuestSpec) -> GuestSpec:
    """The guest with everything that it has or will have."""
    more_disks = tuple(disk for disk in after.disks if disk not in before.disks)
    macs = {nic.mac for nic in before.nics}
    more_nics = tuple(nic for nic in after.nics if nic.mac not in macs)
    return replace(before, disks=(*before.disks, *more_disks), nics=(*before.nics, *more_nics))
