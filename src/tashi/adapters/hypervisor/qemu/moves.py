"""What both ends of a guest's move to another machine agree on.

The target has two ports that the kernel chose: one for the memory, one (NBD) for the disks that are
not shared. Only the source's machine reaches them. The `Door` says which they are; its text travels
to the source through the cluster manager. Which disks cross follows on both sides from what the
guest is made of.

Whoever comes for the memory says the door's key first, and the disks are offered under names that
have it in them: so a source that is late never meets another guest behind a port that was given
anew.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.devices import drives
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import GuestSpec

LET_IN: Final = b"+"
"""What a target says to who had the key; from then on its QEMU listens."""

AS_FAST_AS_IT_GOES: Final = 1 << 40
"""Bytes a second; without a word from us QEMU would keep to 128 MiB."""


class Door(msgspec.Struct, frozen=True):
    """Where a target listens; `disks` is 0 when none cross."""

    address: str
    memory: int
    key: str
    disks: int = 0

    def export(self, disk: str) -> str:
        """The name that a disk is offered under."""
        return f"{disk}-{self.key}"


def write_door(door: Door) -> str:
    """The text that `read_door` reads."""
    return msgspec.json.encode(door).decode()


def read_door(text: str) -> Door:
    """The door; raises HypervisorFailed when the text is of none."""
    try:
        return msgspec.json.decode(text, type=Door)
    except msgspec.MsgspecError as error:
        raise HypervisorFailed(f"{text!r} does not say where to send a guest.") from error


def crossing_disks(spec: GuestSpec) -> tuple[str, ...]:
    """QEMU's names of the disks that only one machine has: overlays and the scratch disk."""
    own = (drive for drive in drives(spec) if drive.disk is None or not drive.disk.persistent)
    return tuple(drive.name for drive in own)


def set_capabilities(guest: Guest, wanted: Collection[str]) -> None:
    """Have QEMU migrate in this way: whatever it can do otherwise is off, however it was before."""
    answer = guest.ask("query-migrate-capabilities")
    known = msgspec.convert(answer, list[_Capability])
    changes = [
        {"capability": one.capability, "state": one.capability in wanted}
        for one in known
        if one.state != (one.capability in wanted)
    ]
    guest.ask("migrate-set-capabilities", capabilities=changes)


class _Capability(msgspec.Struct):
    capability: str
    state: bool
