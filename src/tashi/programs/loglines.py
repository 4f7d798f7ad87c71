"""Log lines as JSON, counted by level, and saying more for a while without a restart.

What a line is about (`extra={"about": …}`, a function that gives ids and names) becomes keys of its
object, so that a search by instance or host does not have to read sentences; lines of text have no
use for it, so only who writes objects asks. `settings.logs` names `JsonLines` to
`logging.config`, which makes it; likewise `Publisher`, for Apache Tashi's publisherHandler.
"""

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from tashi.domain.metrics import LOG_LINES
from tashi.ports.metrics import Meter, Unwatched

_TASHI: Final = "tashi"
_PLACES: Final = ("pathname", "filename", "module", "lineno", "funcName")
_SOURCE: Final = logging._srcfile  # noqa: SLF001  # see its use


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, program, pid, message, what it is about.

    Text that spans lines, such as a traceback, is one escaped string; a line is never torn.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The object, without an end of line."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "program": PurePath(sys.argv[0]).name,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        about: dict[str, object] = getattr(record, "about", dict)()
        said |= {key: value for key, value in about.items() if key not in said}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class TextLines(logging.Formatter):
    """Python's own, but for the time of a second, which is made once for all its lines."""

    _second: tuple[int, str | None, str] = (-1, None, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        """When it was said, by `datefmt`, or to the millisecond."""
        second, form, text = self._second
        if (second, form) != (int(record.created), datefmt):
            second = int(record.created)
            text = time.strftime(datefmt or self.default_time_format, self.converter(second))
            self._second = second, datefmt, text
        return text if datefmt else f"{text},{int(record.msecs):03}"


def leave_out_the_unsaid(formats: str) -> None:
    """Have records lack what none of these formats has lines say: to find out costs the most.

    (The switches are those of Python's Logging HOWTO, "Optimization".)
    """
    logging.logThreads = "thread" in formats
    logging.logProcesses = "process" in formats
    logging.logMultiprocessing = "processName" in formats
    # Where it is set, the stack is searched for who logs.
    logging._srcfile = _SOURCE if any(one in formats for one in _PLACES) else None  # noqa: SLF001


class Publisher(logging.Handler):
    """Counts lines by their level, for the daemon's metrics."""

    def __init__(self, config: None = None) -> None:
        """Apache Tashi's took a configuration, so old files may give one; there is none today."""
        super().__init__()
        del config
        self.meter: Meter = Unwatched()

    def emit(self, record: logging.LogRecord) -> None:
        """Count the line; its text goes nowhere."""
        self.meter.count(LOG_LINES, record.levelname)


def publish_lines(meter: Meter) -> None:
    """Let every Publisher among the handlers count for this meter."""
    loggers = [one for one in _known().values() if isinstance(one, logging.Logger)]
    for logger in (logging.getLogger(), *loggers):
        for handler in logger.handlers:
            if isinstance(handler, Publisher):
                handler.meter = meter


class Verbosity:
    """Whether Tashi's loggers say everything, whatever their configuration asks for.

    Handlers stay as they are: one that lets nothing below its own level through still does not.
    Belongs to one thread.
    """

    def __init__(self) -> None:
        self._before: dict[logging.Logger, int] = {}

    def toggle(self) -> None:
        """Say everything, or go back to what the configuration asks for; the log says which."""
        if self._before:
            for logger, level in self._before.items():
                logger.setLevel(level)
            self._before = {}
            logging.getLogger(_TASHI).info("The log says again what its configuration asks for.")
            return
        self._before = {logger: logger.level for logger in _loggers()}
        for logger in self._before:
            logger.setLevel(logging.DEBUG)
        logging.getLogger(_TASHI).info("The log says everything, until the next SIGUSR1.")


def _loggers() -> list[logging.Logger]:
    """Tashi's topmost logger, and those below it that have a level of their own."""
    below = (one for name, one in _known().items() if name.startswith(f"{_TASHI}."))
    own = [one for one in below if isinstance(one, logging.Logger) and one.level != logging.NOTSET]
    return [logging.getLogger(_TASHI), *own]


def _known() -> dict[str, object]:
    """Every logger there is, by name; placeholders for those in between are no loggers."""
    return dict(logging.Logger.manager.loggerDict)
