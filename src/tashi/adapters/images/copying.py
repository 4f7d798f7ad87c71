"""A file's content into another: holes stay holes, and the copy is on the disk when it is done."""

import errno
import os
from typing import Final

from tashi.ports.images import Progress

_PIECE: Final = 4 << 20
_FLUSH_EVERY: Final = 64 << 20
"""So that the bar tells what is on the disk, and a full one is noticed when it is full."""
_NO_COPYING: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}


def copy_content(source: int, target: int, progress: Progress) -> int:
    """Copy everything from one open file to another, empty one; how many bytes it is long.

    Raises OSError, and Cancelled.
    """
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    place, unflushed = 0, 0
    progress.note(0, size)
    while place < size:
        begin, end = _extent(source, place, size)
        place = begin
        while place < end:
            copied = _copy_some(source, target, place, min(_PIECE, end - place))
            place, unflushed = place + copied, unflushed + copied
            if unflushed >= _FLUSH_EVERY:
                os.fdatasync(target)
                unflushed = 0
            progress.note(place, size)
    progress.note(size, size)
    return size


def _extent(fd: int, place: int, size: int) -> tuple[int, int]:
    """Where the next data from there on begins and ends; both at the end when there is none."""
    try:
        begin = os.lseek(fd, place, os.SEEK_DATA)
        return begin, min(os.lseek(fd, begin, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        raise


def _copy_some(source: int, target: int, place: int, count: int) -> int:
    try:
        copied = os.copy_file_range(source, target, count, place, place)
    except OSError as error:
        if error.errno not in _NO_COPYING:
            raise
        copied = os.pwrite(target, os.pread(source, count, place), place)
    if copied == 0:
        raise OSError(errno.EIO, "the image became shorter while it was copied")
    return copied
