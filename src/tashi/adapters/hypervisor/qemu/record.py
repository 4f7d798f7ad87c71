"""What a node remembers of a guest while it is on this machine: one record, one JSON file.

Written before QEMU is started (the intent) and again when its process is known. Whether the QEMU
is alive is not in it: the lock of the folder says that. The record is not synced to the disk, for
it speaks of a process, and no process outlives the power cut that would lose it; but that a guest
has left is true of other machines, too, and is synced.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from tashi.domain.engine import Hardware
from tashi.domain.guest import Ending
from tashi.domain.identity import VmId
from tashi.domain.instance import Nic
from tashi.ports.hypervisor import GuestSpec

_VERSION: Final = 1


class Move(StrEnum):
    """What a guest has to do with another machine."""

    RECEIVING = "receiving"
    """It is to come here, or is here but was never told to run."""
    SENDING = "sending"
    """It is being moved away; until that is complete it belongs here."""
    LEFT = "left"
    """It never runs here again. The one word that must outlive a power cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One guest, as its folder remembers it.

    `command` is QEMU's command line and `vm_id` its process, once it runs. `saving` and
    `restoring` name the saved memory that is being written or was read. `incoming` is where a
    guest that is being received is to be sent. `ending` says how it ended, when that was known
    before its QEMU was gone. `hardware` is what it was booted on. `plugging` are the ports that
    were empty before an alteration of which it is not known how it ended.
    """

    spec: GuestSpec
    command: tuple[str, ...] = ()
    vm_id: VmId | None = None
    nics: tuple[Nic, ...] = ()
    saving: str | None = None
    restoring: str | None = None
    move: Move | None = None
    incoming: str = ""
    ending: Ending | None = None
    hardware: Hardware | None = None
    plugging: tuple[int, ...] = ()
    version: int = _VERSION


def at_home(record: Record) -> Record:
    """The record once a guest that was received runs by its source's word.

    It may have been told to run by order, too, and be on its way to another machine by now.
    """
    is_new = record.move is Move.RECEIVING
    return replace(record, move=None, incoming="") if is_new else record


def encode(record: Record) -> bytes:
    """The record as JSON that people can read."""
    spec = replace(record.spec, hints=dict(record.spec.hints))
    text = msgspec.json.encode(replace(record, spec=spec))
    return msgspec.json.format(text, indent=2) + b"\n"


def decode(text: bytes) -> Record | None:
    """The record, or ``None`` when these bytes are none."""
    try:
        record = msgspec.json.decode(text, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record if record.version == _VERSION else None
