"""The log that a daemon's words and nmd's own lines go to.

Writing to it never raises and never holds the keeper up for longer than a second: a keeper that
waits for its log no longer keeps. What cannot be written (disk full, nobody reads the terminal) is
counted, and the count is the first thing written when the log takes lines again.

The file is opened for appending, so several programs may write to it, and opened anew on request,
so that it can be rotated.
"""

import errno
import os
import select
import time
from pathlib import Path

from tashi.domain.errors import Misconfigured

# A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
PIECE = select.PIPE_BUF
PATIENCE_MILLISECONDS = 1000
STANDARD_ERROR = 2
NEWLINE = ord("\n")


class LogBook:
    """A log file, or standard error without a path; `Misconfigured` if it cannot be opened."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise Misconfigured(
                f"The log {path or 'on standard error'} cannot be written ({error.strerror}):"
                " name another with --log."
            ) from error
        self._lost = 0
        self._reason = ""
        self._torn = False

    def say(self, sentence: str, level: str = "INFO") -> None:
        """Write a line of nmd's own, in the form of the daemons' logs."""
        self.put(_stamped(sentence, level))

    def put(self, line: bytes) -> None:
        """Write one line, given without its end; one that cannot be written is counted as lost."""
        try:
            self._confess()
            self._write(line + b"\n")
        except OSError as error:
            self._lost += 1
            self._reason = error.strerror or str(error)

    def reopen(self) -> None:
        """Open the file anew, as after a rotation; stay with the old one if that fails."""
        try:
            fresh = _open(self.path)
        except OSError as error:
            self.say(f"The log {self.path} cannot be opened anew ({error.strerror}).", "WARNING")
            return
        os.close(self._descriptor)
        self._descriptor = fresh
        self._torn = False
        self.say("The log was opened anew.")

    def close(self) -> None:
        """Let go of the file; nothing can be written afterwards."""
        os.close(self._descriptor)

    def _confess(self) -> None:
        if not self._lost:
            return
        lines = "1 line is" if self._lost == 1 else f"{self._lost} lines are"
        note = f"{lines} missing here: the log could not be written ({self._reason})."
        self._write(_stamped(note, "WARNING") + b"\n")
        self._lost = 0

    def _write(self, text: bytes) -> None:
        rest = memoryview(b"\n" + text if self._torn else text)
        while rest:
            self._await_room()
            written = os.write(self._descriptor, rest[:PIECE])
            self._torn = rest[written - 1] != NEWLINE
            rest = rest[written:]

    def _await_room(self) -> None:
        """Raise unless the log takes a piece; a log that has failed once gets no patience."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(0 if self._lost else PATIENCE_MILLISECONDS):
            raise BlockingIOError(errno.EAGAIN, "nobody reads it")


def _stamped(sentence: str, level: str) -> bytes:
    # File names in a sentence need not be proper text.
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"{now} [nmd:{level}] {sentence}".encode(errors="surrogateescape")


def _open(path: Path | None) -> int:
    if path is None:
        return os.dup(STANDARD_ERROR)
    # Non-blocking matters for a log that is a pipe: opening it must not wait for a reader.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK
    return os.open(path, flags, 0o640)
