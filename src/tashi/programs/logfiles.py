"""Log files that several daemons write to, and that their own handlers rotate.

One configuration often serves all daemons of a machine, so they write to one file. Python's
rotating handlers are made for one process: two that rename at once overwrite what the other has
just put away. Here who renames holds the lock of the file, and whoever finds that the file is not
the one of its name any more opens that one. Nobody waits for the lock: who does not get it writes
on, and the file grows a little larger, so a daemon that hangs holds up no other.

`settings.logs` names these classes to `logging.config` under the names of Python's own.
"""

import fcntl
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import BaseRotatingHandler, RotatingFileHandler, TimedRotatingFileHandler
from pathlib import Path


class _Shared(BaseRotatingHandler, ABC):
    """Goes before one of Python's two handlers among the classes that are inherited from."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line to the file that has the name now, which may be rotated for it."""
        try:
            self._follow()
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - logging's own name
        """Rotate the file, unless somebody else does or has done so."""
        with self._alone() as alone:
            if alone:
                self._rotate()

    @abstractmethod
    def _rotate(self) -> None:
        """What Python's handler does to rotate the file."""
        ...

    def _follow(self) -> bool:
        """Open the file of that name, if it is another one by now; whether it is."""
        before = self.stream
        if before is None or _has_name(before.fileno(), self.baseFilename):
            return False
        self.stream = None  # opening may fail, and is tried again with the next line
        before.close()
        self.stream = self._open()
        return True

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else may rotate the file meanwhile, which is the one of its name."""
        # The lock belongs to the open file, so it outlasts the stream that Python closes.
        self.stream = self.stream or self._open()
        held = os.dup(self.stream.fileno())
        try:
            yield _try_lock(held) and not self._follow()
        finally:
            os.close(held)


class SizedLog(_Shared, RotatingFileHandler):
    """Rotates the file when it is large."""

    def _rotate(self) -> None:
        RotatingFileHandler.doRollover(self)


class TimedLog(_Shared, TimedRotatingFileHandler):
    """Rotates the file when it is time."""

    def _rotate(self) -> None:
        TimedRotatingFileHandler.doRollover(self)

    def _follow(self) -> bool:
        other = super()._follow()
        if other:
            written = Path(self.baseFilename).stat().st_mtime
            self.rolloverAt = self.computeRollover(int(written))
        return other


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_name(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
