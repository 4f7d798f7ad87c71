"""What a guest's disks and network cards are called, by QEMU and in files: pure.

Those that a guest starts with are numbered in their order. One that was plugged in is called by its
port, so that nothing is renumbered when another is plugged out; it keeps its port, and its name,
when the guest starts again or moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tashi.domain.instance import Disk, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import PLAIN_MTU, Cards, Plug, Tap, card_number, card_numbers

CDROM: Final = "cdrom"
CD_MEDIUM: Final = "cdrom-medium"
"""The medium that a guest starts with."""

MOST_IDE_DRIVES: Final = 6
"""As many as the machine's controller has ports; the last one is for the CD drive."""

Properties = Mapping[str, str | int]
"""Of a device, as QEMU knows them."""


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk of a guest: QEMU's name of it, and what its file is called; no disk is the scratch."""

    name: str
    part: str
    disk: Disk | None
    port: int = 0


def drives(spec: GuestSpec) -> tuple[Drive, ...]:
    """A guest's disks in QEMU's order: those it starts with, its scratch disk, those plugged in."""
    fixed = [disk for disk in spec.disks if not disk.port]
    found = [Drive(f"disk{number}", str(number), disk) for number, disk in enumerate(fixed)]
    if int(spec.hints.get("scratchSpace", "0")):
        found.append(Drive(f"disk{len(fixed)}", "scratch", None))
    return (*found, *(plugged(disk) for disk in spec.disks if disk.port))


def plugged(disk: Disk) -> Drive:
    """A disk that was plugged in."""
    return replace(in_port(disk.port), disk=disk)


def in_port(port: int) -> Drive:
    """Whatever disk is in that port."""
    return Drive(disk_name(port), f"p{port}", None, port)


def disk_name(port: int) -> str:
    """QEMU's name of the disk in that port."""
    return f"plug{port}"


def card_name(port: int) -> str:
    """QEMU's name of the network card in that port."""
    return f"nic{port}"


def cards(nics: tuple[Nic, ...]) -> Cards:
    """Network cards by their numbers, in their order."""
    return dict(zip(card_numbers(nic.port for nic in nics), nics, strict=True))


def plugged_disk(drive: Drive) -> Properties:
    """A disk in a port, as a device."""
    return {"driver": "virtio-blk-pci", "id": drive.name, "bus": _bus(drive.port)} | {
        "drive": drive.name
    }


def plugged_card(nic: Nic, plug: Plug) -> Properties:
    """A network card in a port, as a device."""
    place = {"driver": "virtio-net-pci", "id": card_name(nic.port), "bus": _bus(nic.port)}
    return {**place, **card(card_number(nic.port), nic), **packets(plug)}


def card(number: int, nic: Nic) -> Properties:
    """What every network card has."""
    # An empty romfile: no network boot, whose firmware alone would double the time to start.
    return {"netdev": f"net{number}", "mac": nic.mac, "romfile": ""}


def packets(plug: Plug) -> Properties:
    """How a virtio card tells its guest how long packets may be, where that is uncommon."""
    return {"host_mtu": plug.mtu} if isinstance(plug, Tap) and plug.mtu != PLAIN_MTU else {}


def has_cd_drive(spec: GuestSpec) -> bool:
    """Whether the machine has a port left for a CD drive."""
    ide = spec.hints.get("diskInterface") == "ide"
    return not ide or sum(not drive.port for drive in drives(spec)) < MOST_IDE_DRIVES


def _bus(port: int) -> str:
    return f"port{port}"
