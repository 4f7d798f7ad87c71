"""Log lines that are held for a moment and written together.

A write(2) for each line costs more than the line: it gives Python's lock away, so that threads take
turns at every line. So what is said of one commit is held and written at its end, in
the order in which it was said, in pieces that one write takes whole even in a pipe that others
write to, too.

Only one thread holds lines at a time, and only its own are held: a line of another thread takes
those before it along and is written at once. `write_held` writes what is held so far, from any
thread; who is about to tell the world of something calls it first (decision 0034).

`settings.logs` names Python's own handlers; `holding` puts these in their place.
"""

import logging
import logging.handlers
import select
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, TextIO

from tashi.programs import logfiles

PIECE_BYTES: Final = select.PIPE_BUF
"""What a pipe takes whole, whoever else writes to it (pipe(7))."""


class _Hold:
    """Whose lines are held, and by which handlers."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.handlers: list[_Holding] = []


_hold: Final = _Hold()


@contextmanager
def held() -> Iterator[None]:
    """Hold the lines of this thread until the end, unless another thread's are being held."""
    if _hold.thread is not None:
        yield
        return
    _hold.thread = threading.get_ident()
    try:
        yield
    finally:
        _hold.thread = None
        write_held()


def write_held() -> None:
    """Have what was held so far written before this returns."""
    handlers = _hold.handlers
    for handler in handlers[:]:
        handler.write_held()


class _Piece(logging.LogRecord):
    """Whole lines, written already but for the last one's end."""

    def __init__(self, text: str) -> None:
        super().__init__("tashi", logging.INFO, "", 0, text, None, None)


class _Holding(logging.StreamHandler[TextIO]):
    """Goes before one of Python's handlers of streams among the classes that are inherited from."""

    _lines: tuple[str, ...] = ()
    _size = 0
    _trouble = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or hold it; called with the handler's lock held."""
        if _hold.thread is None and not self._lines:
            self._put(record)
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as in Python's own: a line must not stop a program
            self.handleError(record)
            return
        self._take(line)
        if _hold.thread != threading.get_ident():
            self._write()

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a piece is one already."""
        return record.msg if isinstance(record, _Piece) else super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Note what keeps lines from being written; a mistake of ours is shown with all it says."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._trouble = error.strerror or str(error)
        else:
            super().handleError(record)

    def write_held(self) -> None:
        """Write what was held so far; waits for a thread that is at it."""
        self.acquire()
        try:
            self._write()
        finally:
            self.release()

    def close(self) -> None:
        """Write what is held, and let go of the stream."""
        self.write_held()
        super().close()

    def _take(self, line: str) -> None:
        size = len(line.encode(errors="replace")) + len(self.terminator)
        if self._size + size > PIECE_BYTES:
            self._write()
        if not self._lines:
            _hold.handlers.append(self)
        self._lines = *self._lines, line
        self._size += size

    def _write(self) -> None:
        """Write what is held; called with the handler's lock held."""
        if not self._lines:
            return
        self._put(_Piece(self.terminator.join(self._lines)))
        self._lines, self._size = (), 0
        _hold.handlers.remove(self)  # not before it is written: `write_held` waits for it

    def _put(self, record: logging.LogRecord) -> None:
        """Write it; on standard error stands, once and not for each line, why that cannot be."""
        before, self._trouble = self._trouble, ""
        try:
            super().emit(record)
        except Exception:  # noqa: BLE001  # whoever logs goes on; why is said below
            # Of opening the file anew, for example: Python's handlers catch what comes of writing.
            self.handleError(record)
        if self._trouble and self._trouble != before and sys.stderr is not None:
            where = getattr(self, "baseFilename", "a stream of the log")
            words = f"Lines for {where} are lost until it can be written ({self._trouble})."
            with suppress(OSError):
                print(words, file=sys.stderr)


class StreamLines(_Holding):
    """Python's StreamHandler."""


class FileLines(_Holding, logging.FileHandler):
    """Python's FileHandler."""


class WatchedLines(_Holding, logging.handlers.WatchedFileHandler):
    """Python's WatchedFileHandler, which looks for its file once for each piece."""


class SizedLines(_Holding, logfiles.SizedLog):
    """The file that is rotated when it is large."""


class TimedLines(_Holding, logfiles.TimedLog):
    """The file that is rotated when it is time."""


_OURS: Final = {
    "logging.StreamHandler": "StreamLines",
    "logging.FileHandler": "FileLines",
    "logging.handlers.WatchedFileHandler": "WatchedLines",
    "tashi.programs.logfiles.SizedLog": "SizedLines",
    "tashi.programs.logfiles.TimedLog": "TimedLines",
}


def holding(configuration: Mapping[str, object]) -> dict[str, object]:
    """A configuration for `logging.config` with ours in the place of Python's handlers of streams.

    Formats of text say the time by `TextLines`.
    """
    handlers, formatters = configuration["handlers"], configuration["formatters"]
    assert isinstance(handlers, dict)
    assert isinstance(formatters, dict)
    text = "tashi.programs.loglines.TextLines"
    return {
        **configuration,
        "handlers": {name: _holding(handler) for name, handler in handlers.items()},
        "formatters": {name: {"class": text, **one} for name, one in formatters.items()},
    }


def _holding(handler: Mapping[str, object]) -> dict[str, object]:
    ours = _OURS.get(str(handler["class"]))
    return dict(handler) if ours is None else {**handler, "class": f"{__name__}.{ours}"}
