"""How single devices go into a domain and out of it."""

from dataclasses import dataclass
from typing import Final

import libvirt

from tashi.adapters.hypervisor.libvirt import taps
from tashi.adapters.hypervisor.libvirt.domain_xml import (
    alias,
    card_xml,
    cdrom_xml,
    disk_xml,
    forwarding,
    name_of,
    netdev,
)
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.relocation import aliases, medium_in
from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive
from tashi.domain.errors import HypervisorFailed
from tashi.domain.instance import PORTS, Nic
from tashi.ports.network import Networks, OwnNetwork, card_number

_CARDS: Final = {devices.card_name(port): f"net{card_number(port)}" for port in range(1, PORTS + 1)}
"""What cards in ports are called: by their ports here, by their numbers in domains."""


@dataclass(frozen=True, slots=True)
class Plugs:
    """The hands for guests that live in domains."""

    networks: Networks

    def there(self, guest: Guest) -> set[str]:
        """The names of all devices that have one of ours."""
        names = {name_of(one) for one in aliases(_described(guest))}
        return names | {card for card, ours in _CARDS.items() if ours in names}

    def put_disk(self, guest: Guest, drive: Drive, file: DiskFile) -> None:
        """Attach it."""
        described = disk_xml(drive, file)
        guest.of_domain(lambda domain: domain.attachDeviceFlags(described, _NOW))

    def put_card(self, guest: Guest, nic: Nic) -> None:
        """Attach it to a TAP that is there already."""
        number = card_number(nic.port)
        with self.networks.wire(guest.id, {number: nic}) as wiring:
            plug = wiring[number]
            taps.keep(wiring.values())
        described = card_xml(guest.id, nic, plug)
        try:
            guest.of_domain(lambda domain: domain.attachDeviceFlags(described, _NOW))
        except BaseException:
            taps.remove(guest.id, number)
            raise
        for port in plug.forward if isinstance(plug, OwnNetwork) else ():
            guest.ask_as_a_human(forwarding(number, port))

    def ask_back(self, guest: Guest, name: str) -> None:
        """By the name of the device."""
        called = alias(_CARDS.get(name, name))
        guest.of_domain(lambda domain: domain.detachDeviceAlias(called, _NOW))

    def clear_disk(self, guest: Guest, drive: Drive) -> None:
        """Libvirt has done that."""

    def clear_card(self, guest: Guest, nic: Nic) -> None:
        """The TAP; everything else libvirt has removed."""
        taps.remove(guest.id, card_number(nic.port))

    def change_medium(self, guest: Guest, medium: DiskFile | None) -> None:
        """Look what is in the drive, and change it."""
        there = medium_in(_described(guest), alias(devices.CDROM))
        wanted = None if medium is None else medium.path
        if there == "" and wanted is not None:
            raise HypervisorFailed("The guest has no CD drive: its IDE ports are all taken.")
        if there not in {"", wanted}:
            changed = cdrom_xml(medium)
            guest.of_domain(lambda domain: domain.updateDeviceFlags(changed, _BY_FORCE))

    def cards(self, guest: Guest, nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
        """As QEMU's own network has them."""
        return forwards.with_forwards(nics, guest.ask_as_a_human(forwards.QUESTION), netdev)


_NOW: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE
_BY_FORCE: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE


def _described(guest: Guest) -> str:
    return guest.of_domain(lambda domain: str(domain.XMLDesc()))
