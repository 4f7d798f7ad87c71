"""What both ends of a guest's move between two libvirtds agree on.

Neither libvirtd needs to be reached from outside, nor to know the other's name: everything between
them goes through one door of the target's node manager, which is open to the source's machine only.
Behind it are three sockets of the target's machine, which the source calls by the sign that follows
the door's key: libvirtd's own, and those at which the guest's QEMU waits for memory and for disks.
libvirt wants the last two under the same paths on both machines.
"""

from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.hypervisor.libvirt.mark import Folders
from tashi.domain.errors import HypervisorFailed

LET_IN: Final = b"+"
"""What the door says to who has its key and a sign; from then on the line is the socket's."""
KEY_BYTES: Final = 32
HASH_BYTES: Final = 64
WORD_BYTES: Final = 32


class Sign(Enum):
    """What a line is for."""

    LIBVIRTD = b"L"
    """Followed by the hash of the word that the source will say when the guest has left."""
    MEMORY = b"M"
    DISKS = b"D"
    WORD = b"W"
    """Followed by that word."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where a target can be reached: its address and port, what is behind it, and its key.

    `libvirt` is the path of its libvirtd's URI. `folder` is the guest's own on the target, where a
    file with the key as its name shows whoever sees it that both ends are on one machine.
    """

    address: str
    port: int
    key: str
    libvirt: str
    info: str
    overlays: str
    images: str
    folder: str
    takes_word: bool = True

    @property
    def folders(self) -> Folders:
        """Where the target's node keeps things."""
        return Folders(info=Path(self.info), overlays=Path(self.overlays), images=Path(self.images))

    @property
    def memory(self) -> Path:
        """The socket at which QEMU waits for memory."""
        return Path(self.folder) / "memory.sock"

    @property
    def disks(self) -> Path:
        """The socket at which QEMU waits for disks."""
        return Path(self.folder) / "disks.sock"

    @property
    def shown(self) -> Path:
        """The file that is seen on the target's machine only."""
        return Path(self.folder) / f"door-{self.key}"


def hashed(word: bytes) -> bytes:
    """What is pledged of a word before it is said."""
    return sha256(word).hexdigest().encode()


def write_door(door: Door) -> str:
    """The text that `read_door` reads."""
    return msgspec.json.encode(door).decode()


def read_door(text: str) -> Door:
    """The door; raises HypervisorFailed when the text is of none."""
    try:
        return msgspec.json.decode(text, type=Door)
    except msgspec.MsgspecError as error:
        raise HypervisorFailed(
            f"{text!r} does not say where to send a guest of libvirt's."
        ) from error
