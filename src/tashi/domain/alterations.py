"""What can befall the making of an instance: its name, its size, its devices, its display.

More of the left-hand column of the table of transitions, beside `events`. A command that changes
devices carries all of them as they are to be, so that whoever carries it out compares and needs no
memory of what was asked before.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from tashi.domain.events import Command, Report
from tashi.domain.identity import Mib
from tashi.domain.instance import Devices, Instance, Nic
from tashi.domain.listings import without_cards_gone


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """Call it something else from now on."""

    name: str = ""

    renews: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Resize(Command):
    """Give it other cores and memory when it runs next."""

    cores: int = 1
    memory: Mib = Mib(0)

    renews: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Alter(Command):
    """Give it these devices and no others."""

    devices: Devices = field(default_factory=Devices)


@dataclass(frozen=True, slots=True)
class AttachDisk(Alter):
    """Plug a disk in."""


@dataclass(frozen=True, slots=True)
class DetachDisk(Alter):
    """Plug a disk out."""


@dataclass(frozen=True, slots=True)
class AttachNic(Alter):
    """Plug a network card in."""


@dataclass(frozen=True, slots=True)
class DetachNic(Alter):
    """Plug a network card out."""


@dataclass(frozen=True, slots=True)
class ChangeCdrom(Alter):
    """Put another medium into the CD drive, or none."""


@dataclass(frozen=True, slots=True)
class StartVnc(Command):
    """Show the guest's display to who has the password."""

    renews: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class StopVnc(Command):
    """Show the guest's display to nobody."""

    renews: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered(Report):
    """The guest has the devices that it was to have; `nics` with what is known of them now."""

    nics: tuple[Nic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterFailed(Report):
    """The guest has the devices that it had before."""


def without_half_plugged(record: Instance) -> Instance:
    """The record of one whose guest has ended while devices were plugged in or out.

    It has those that it was to have before and after: a disk that was on its way out may be gone
    already, and of one on its way in nothing may have been made.
    """
    wanted = record.wanted
    if wanted is None:
        return record
    macs = {nic.mac for nic in wanted.nics}
    nics = tuple(nic for nic in record.nics if nic.mac in macs)
    return replace(
        record,
        disks=tuple(disk for disk in record.disks if disk in wanted.disks),
        nics=nics,
        wanted=None,
        listings=without_cards_gone(record.listings, (nic.mac for nic in nics)),
    )
