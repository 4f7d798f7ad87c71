"""What both ends of a guest's move to another machine agree on.

The target has two ports that the kernel chose: one for the memory, one (NBD) for the disks that are
not shared. Only the source's machine reaches them. The `Door` says which they are; its text travels
to the source through the cluster manager. Which disks cross follows on both sides from what the
guest is made of.

Whoever comes for the memory says the door's key first, and the disks are offered under names that
have it in them: so a source that is late never meets another guest behind a port that was given
anew.

A source that will say when the guest has left (see `word`) has another key, the door's pledge.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.devices import drives
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.domain.engine import KVM
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import GuestSpec

LET_IN: Final = b"+"
"""What a target says to who had the key; from then on its QEMU listens."""

TURNED_AWAY: Final = b"-"
"""What it says instead when it cannot receive the guest; why not follows."""

_SHORT_STOP_MILLISECONDS: Final = 10
_LONG_STOP_MILLISECONDS: Final = 300
_EASY_PASSES: Final = 3

AS_FAST_AS_IT_GOES: Final = 1 << 40
"""Bytes a second; without a word from us QEMU would keep to 128 MiB."""


class Door(msgspec.Struct, frozen=True):
    """Where a target listens; `disks` is 0 when none cross, `pledge` empty when none is taken."""

    address: str
    memory: int
    key: str
    disks: int = 0
    pledge: str = ""

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


def may_stand(accel: str, passes: int) -> int:
    """How many milliseconds a guest may stand still, after so many passes through its memory.

    Under KVM it does so briefly, and for longer when that does not do. An emulated guest gets no
    more passes than it needs: between two of them QEMU looks which pages have changed, and a store
    that the processor's thread has begun before that look and ends after it is not sent. Allowed
    nothing, QEMU does not look before all has been sent once and the guest stands still; should a
    version of it look all the same, there is no third pass.
    """
    if accel != KVM:
        return _LONG_STOP_MILLISECONDS if passes > 1 else 0
    doublings = max(0, passes - _EASY_PASSES)
    return min(_SHORT_STOP_MILLISECONDS << doublings, _LONG_STOP_MILLISECONDS)


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
