"""QEMU's locks on image files: whether somebody has one open, and keeping writers out of one.

A QEMU that opens an image locks single bytes of the file, shared, by what it wants to do: byte 100
plus a number for what it does, byte 200 plus a number for what it does not let others do (QEMU,
block/file-posix.c: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE; include/block/block-common.h: the
numbers). The locks belong to the open file (fcntl(2), F_OFD_SETLK), and count on other hosts too
where the share has locks.

They are a second line: the books say who uses what. Where there are no locks nothing is refused.
"""

import fcntl
import os
import struct
from typing import Final

from tashi.domain.errors import ImageInUse

_FLOCK: Final = struct.Struct("hhqqi4x")
_DOES: Final = 100
_FORBIDS: Final = 200
_PAST_ALL: Final = 300
_READ, _WRITE, _RESIZE = 0, 1, 3


def is_open(fd: int) -> bool:
    """Whether some QEMU has the file open, for whatever it may be."""
    return _is_taken(fd, _DOES, _PAST_ALL - _DOES)


def keep_writers_out(fd: int, name: str) -> None:
    """Let no QEMU write to the file for as long as `fd` is open; ImageInUse if one does."""
    # First ours, then the look at theirs: QEMU does the same, so two that come together both see.
    for byte in (_DOES + _READ, _FORBIDS + _WRITE, _FORBIDS + _RESIZE):
        _take(fd, byte)
    if _is_taken(fd, _DOES + _WRITE, 1) or _is_taken(fd, _FORBIDS + _READ, 1):
        raise ImageInUse(f"Image {name!r} is open in a QEMU that writes to it.")


def _take(fd: int, byte: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
    except OSError:
        return  # no locks here, see above


def _is_taken(fd: int, byte: int, count: int) -> bool:
    """Whether another open file has a lock there."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, count, 0)
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, question)
    except OSError:
        return False
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK
