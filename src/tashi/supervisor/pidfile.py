"""One keeper a daemon: the pid file and its lock.

The lock is the truth, the number in the file only says whom to talk to: the kernel lets go of the
lock however its holder dies, so a file that was left behind never keeps anyone out. The lock
belongs to the open file and so survives the fork into the background.
"""

import fcntl
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from tashi.domain.errors import Failed, Misconfigured, Refused


class PidFile:
    """A held pid file; `Refused` when another keeper holds it, `Misconfigured` if it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = _lock(path)
        os.ftruncate(self._descriptor, 0)  # whoever wrote that number is gone

    def sign(self) -> None:
        """Write this process's number into the file."""
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def remove(self) -> None:
        """Take the file away and let go of its lock."""
        with suppress(OSError):  # a file that stays behind keeps nobody out
            self.path.unlink()
        os.close(self._descriptor)


def stop_keeper(path: Path, patience_seconds: float) -> None:
    """Ask the keeper that holds a pid file to stop, and return when it is gone.

    `Refused` when nobody holds it; `Failed` when the keeper is still there after the patience.
    """
    keeper = _holder(path)
    if keeper is None:
        raise Refused(f"No nmd is running here: nobody holds {path}.")
    try:
        signal.pidfd_send_signal(keeper, signal.SIGTERM)
        ended, _, _ = select.select([keeper], [], [], patience_seconds)
    except PermissionError as error:
        raise Refused(f"The nmd that holds {path} belongs to another user.") from error
    except ProcessLookupError:
        return
    finally:
        os.close(keeper)
    if not ended:
        raise Failed(f"The nmd that holds {path} has not ended within {patience_seconds:g} s.")


def _lock(path: Path) -> int:
    while True:
        try:
            # Nobody else may open it: who can open a file can lock it, and so keep us out.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Misconfigured(
                f"The pid file {path} cannot be written ({error.strerror}):"
                " name another with --pid-file."
            ) from error
        if not _try_lock(descriptor):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Refused(f"An nmd with pid {holder} keeps this daemon already: it holds {path}.")
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder took the file away between our open and our lock


def _holder(path: Path) -> int | None:
    """Return a pidfd of the keeper that holds the file, or None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"The pid file {path} cannot be read ({error.strerror}).") from error
    try:
        # No number, or one that is no process's: nobody we could talk to.
        with suppress(ValueError, OverflowError, OSError):
            keeper = os.pidfd_open(int(os.pread(descriptor, 32, 0)))
            # Only who still holds the lock now is surely the one that the number meant.
            if not _try_lock(descriptor):
                return keeper
            os.close(keeper)
        return None
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
