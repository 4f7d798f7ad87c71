"""A file that is only ever appended to, and cut back to its last good end when that failed.

`size` is where the last complete write ended; what may stand behind it is no part of the file.
All errors are the operating system's own: what they mean is decided by who uses the file.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from tashi.adapters.store.steps import OnStep, Step

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600


class GrowingFile:
    """A new file at that path, for its owner's eyes only; one that is there is replaced.

    It is locked for as long as it is open, so that who would own its name finds it taken.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._fd = os.open(path, _FLAGS, _PRIVATE)
        self.size = 0
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.discard()
            raise

    def has_its_name(self) -> bool:
        """Whether the file is still where it was put; raises OSError when another is there."""
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        if not os.path.samestat(there, os.fstat(self._fd)):
            raise OSError(
                errno.ESTALE,
                "somebody put another file in its place: stop what else writes it, have the right "
                "one there, and start this cluster manager again",
            )
        return True

    def write(self, text: bytes) -> None:
        """Append the text whole; after an OSError a part of it may be there, behind `size`."""
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self.size += len(text)

    def cut_back(self) -> None:
        """Let the file end at `size` again, whatever a failed write has left behind it."""
        os.ftruncate(self._fd, self.size)

    def sync(self) -> None:
        """Wait until all that was written is durable; releases Python's lock meanwhile."""
        os.fdatasync(self._fd)

    def take_the_place_of(self, path: Path, on_step: OnStep) -> None:
        """Have that name from now on, for good; after an OSError either file may have it."""
        on_step(Step.BEFORE_SWAP)
        self._path.rename(path)
        self._path = path
        on_step(Step.SWAPPED)
        sync_folder(path.parent)
        on_step(Step.SWAP_DURABLE)

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Close the file and, where that is possible, remove it."""
        self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
