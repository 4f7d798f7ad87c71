"""One owner for a file with books: the lock beside it, and whose file is trusted.

The lock is the kernel's (`flock` on `<file>.lock`), so it ends with its process, however that
ends; the lock file itself stays, for removing it would let two processes lock two files of one
name. The state may lie in a folder where everybody may write, as Tashi's own `/var/tmp` is: so no
symbolic link is followed, and a file that somebody else made or may write is not believed.
"""

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured, Refused, StoreFailed, TashiError

FLAT_FILE: Final = "[Pickled] file"

_SAFE: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH

_UNKNOWN: Final = "its process is unknown"
_REMEDIES: Final = {
    errno.ENOENT: "make its folder, or name another file in {setting}",
    errno.ENOTDIR: "a part of the path in {setting} is no folder",
    errno.ELOOP: "symbolic links are not followed, so name the file itself in {setting}",
    errno.EACCES: "this process's user must be able to read and write it and its folder",
    errno.EPERM: "this process's user must be able to read and write it and its folder",
    errno.EROFS: "name a place that can be written to in {setting}",
    errno.ENAMETOOLONG: "name another file in {setting}",
}


class Claim:
    """The right to be the only one who uses the file at `path`, until it is given up."""

    def __init__(self, path: Path, setting: str = FLAT_FILE) -> None:
        """Raise Refused when another process has the claim, and OSError.

        `setting` is what names the path, for whoever has to name another.
        """
        self._fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as taken:
            owner = os.pread(self._fd, 32, 0).strip()
            self.give_up()
            who = f"process {int(owner)}" if owner.isdigit() else _UNKNOWN
            raise _in_use(path, who, setting) from taken
        except OSError:
            self.give_up()
            raise

    def give_up(self) -> None:
        """End the claim; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def expect_unlocked(path: Path, file: BufferedReader, setting: str = FLAT_FILE) -> None:
    """Raise Refused while another process has the file itself locked, and OSError.

    Its owner has it so. Who removes the lock beside it would let a second one in otherwise.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # ends with the file being closed
    except BlockingIOError as taken:
        raise _in_use(path, _UNKNOWN, setting) from taken


def _in_use(path: Path, who: str, setting: str) -> Refused:
    return Refused(
        f"{path} is in use by another cluster manager ({who}): stop that one "
        f"first, or name another file in {setting}."
    )


def open_trusted(path: Path, setting: str = FLAT_FILE) -> BufferedReader | None:
    """The file, to be read, or None when there is none; raises Misconfigured and OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | _SAFE)
    except FileNotFoundError:
        return None
    try:
        _refuse_untrusted(path, os.fstat(fd), setting)
    except TashiError:
        os.close(fd)
        raise
    return os.fdopen(fd, "rb")


def _refuse_untrusted(path: Path, found: os.stat_result, setting: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Misconfigured(f"{path} is no ordinary file: name another one in {setting}.")
    if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
        name = shlex.quote(str(path))
        raise Misconfigured(
            f"{path} may be written by others than this process's user, so it is not believed. If "
            f"its content is right: chown {os.geteuid()} {name} && chmod 600 {name}"
        )


@contextmanager
def said_plainly(path: Path, setting: str = FLAT_FILE) -> Iterator[None]:
    """Turn what the operating system refuses at the start into the sentence that helps."""
    try:
        yield
    except OSError as wrong:
        words = f"{wrong.filename or path} cannot be used ({wrong.strerror})"
        remedy = _REMEDIES.get(wrong.errno or 0)
        if remedy is None:
            raise StoreFailed(f"{words}.") from wrong
        raise Misconfigured(f"{words}: {remedy.format(setting=setting)}.") from wrong
