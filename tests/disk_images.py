"""Disk images of a few bytes, and who asks how far a work is."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tashi.domain.errors import Cancelled
from tashi.ports.commands import Leash

KIB: Final = 1024
MIB: Final = KIB * KIB
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_CLUSTER_BITS: Final = 16
_CLUSTER: Final = 1 << _CLUSTER_BITS


def qcow2(
    virtual_size: int = MIB, backing: str = "", backing_format: str = "raw", features: int = 0
) -> bytes:
    """An empty qcow2 image, sound to QEMU; one with a backing file says of what format that is."""
    extension = b""
    if backing:
        padded = backing_format.encode().ljust((len(backing_format) + 7) & ~7, b"\0")
        extension = struct.pack(">II", 0xE2792ACA, len(backing_format)) + padded
    extension += bytes(8)
    backing_at = _HEADER.size + len(extension) if backing else 0
    l1_entries = max(1, -(-virtual_size // (_CLUSTER * _CLUSTER // 8)))
    header = _HEADER.pack(
        *(b"QFI\xfb", 3, backing_at, len(backing.encode()), _CLUSTER_BITS, virtual_size, 0),
        *(l1_entries, 3 * _CLUSTER, _CLUSTER, 1, 0, 0),
        *(features, 0, 0, 4, _HEADER.size),
    )
    head = (header + extension + backing.encode()).ljust(_CLUSTER, b"\0")
    table = struct.pack(">Q", 2 * _CLUSTER).ljust(_CLUSTER, b"\0")
    counts = (b"\0\1" * 4).ljust(_CLUSTER, b"\0")
    return head + table + counts + bytes(_CLUSTER)


def left_in(images: Path) -> list[str]:
    """The names of all that is in a folder of images, but for its user's hold on it."""
    return sorted(one.name for one in images.iterdir() if not one.name.startswith(".held-"))


class Bar:
    """Progress that is written down; `cancel_at` cancels once so much is done."""

    def __init__(self, cancel_at: Callable[[int, int], bool] = lambda _done, _total: False) -> None:
        self.leash = Leash()
        self.told: list[tuple[int, int]] = []
        self._cancel_at = cancel_at

    def note(self, done: int, total: int) -> None:
        self.told.append((done, total))
        if self._cancel_at(done, total):
            self.leash.pull()
            raise Cancelled("It was cancelled.")
