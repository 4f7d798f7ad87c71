"""The logging sections: what may stand in them, and what holds when no file says anything.

Python's logging.config evaluates `args` and imports any class. Here arguments are literals and
classes come from `CLASSES`. What reads these sections, `dictConfig`, in turn resolves texts that
begin with ext:// or cfg://, so no text from a file may.

`BUILT_IN` lies beneath all files: a file that only says `[handlers] keys = …` finds the usual
handlers and the usual format there. It is written as a file would be.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from logging.handlers import SysLogHandler
from typing import Final

from tashi.settings.declare import section, setting
from tashi.settings.kinds import (
    Kind,
    Unsuitable,
    choice,
    flag,
    implementation,
    several,
    text,
    word,
)
from tashi.settings.literals import read_value

BUILT_IN: Final = """\
[loggers]
keys = root

[handlers]
keys = consoleHandler

[formatters]
keys = standardFormatter,jsonFormatter

[logger_root]
level = INFO
handlers = consoleHandler

[handler_consoleHandler]
class = StreamHandler
level = NOTSET
formatter = standardFormatter
args = (sys.stderr,)

[handler_fileHandler]
class = handlers.WatchedFileHandler
level = NOTSET
formatter = standardFormatter
args = ('/var/log/tashi.log',)

[handler_syslogHandler]
class = handlers.SysLogHandler
level = NOTSET
formatter = standardFormatter
args = ('/dev/log',)

[handler_publisherHandler]
class = tashi.messaging.messagingloghandler.MessagingLogHandler
level = NOTSET
formatter = standardFormatter
args = ()

[formatter_standardFormatter]
format = %(asctime)s [%(name)s:%(levelname)s] %(message)s
datefmt =
class = logging.Formatter

[formatter_jsonFormatter]
class = tashi.JsonLines
"""


_RESOLVED: Final = ("ext://", "cfg://")
_WOULD_RESOLVE: Final = "begins with ext:// or cfg://, which logging would resolve"


class Stream(Enum):
    """A stream that a handler may write to, as dictConfig spells it."""

    OUT = "ext://sys.stdout"
    ERR = "ext://sys.stderr"


@dataclass(frozen=True, slots=True)
class HandlerClass:
    """A class of handlers: its name for dictConfig, and its parameters in their order.

    `texts` are all that a parameter may be, where not any text will do.
    """

    name: str
    takes: Mapping[str, tuple[type, ...]]
    texts: Mapping[str, Collection[str]] = field(default_factory=dict)

    def arguments(self, args: tuple[object, ...], named: Mapping[str, object]) -> dict[str, object]:
        """Give each argument the name of its parameter; raises Unsuitable when they do not fit."""
        if len(args) > len(self.takes):
            raise Unsuitable(f"has more than the {len(self.takes)} arguments that the class takes")
        given = {**dict(zip(self.takes, args, strict=False)), **named}
        for key, value in given.items():
            if key not in self.takes:
                raise Unsuitable(f"names {key}, which the class does not take")
            if type(value) not in self.takes[key]:
                raise Unsuitable(f"has a {key} of the wrong type")
            if isinstance(value, str) and value not in self.texts.get(key, (value,)):
                raise Unsuitable(f"has a {key} that is none of {', '.join(self.texts[key])}")
        return {key: _for_dict_config(value) for key, value in given.items()}


def _for_dict_config(value: object) -> object:
    match value:
        case Stream():
            return value.value
        case tuple():
            return tuple(_for_dict_config(part) for part in value)
        case str() if value.startswith(_RESOLVED):
            raise Unsuitable(_WOULD_RESOLVE)
        case _:
            return value


_NONE: Final = type(None)
_FILE: Final[dict[str, tuple[type, ...]]] = {"filename": (str,), "mode": (str,)}
_ENCODING: Final[dict[str, tuple[type, ...]]] = {"encoding": (str, _NONE), "delay": (bool, int)}
_BACKUPS: Final[dict[str, tuple[type, ...]]] = {"backupCount": (int,)}
_PUBLISHER: Final = HandlerClass("tashi.programs.loglines.Publisher", {"config": (_NONE,)})

CLASSES: Final[Mapping[str, HandlerClass]] = {
    "StreamHandler": HandlerClass("logging.StreamHandler", {"stream": (Stream, _NONE)}),
    "NullHandler": HandlerClass("logging.NullHandler", {}),
    "FileHandler": HandlerClass("logging.FileHandler", _FILE | _ENCODING),
    "handlers.WatchedFileHandler": HandlerClass(
        "logging.handlers.WatchedFileHandler", _FILE | _ENCODING
    ),
    "handlers.RotatingFileHandler": HandlerClass(
        "tashi.programs.logfiles.SizedLog",
        {**_FILE, "maxBytes": (int,), **_BACKUPS, **_ENCODING},
    ),
    "handlers.TimedRotatingFileHandler": HandlerClass(
        "tashi.programs.logfiles.TimedLog",
        {"filename": (str,), "when": (str,), "interval": (int,), **_BACKUPS, **_ENCODING},
    ),
    "handlers.SysLogHandler": HandlerClass(
        "logging.handlers.SysLogHandler",
        {"address": (str, tuple), "facility": (str, int)},
        {"facility": SysLogHandler.facility_names},
    ),
    "tashi.messaging.MessagingLogHandler": _PUBLISHER,
    "tashi.messaging.messagingloghandler.MessagingLogHandler": _PUBLISHER,
}
"""The classes of handlers that may be named; `logging.` before them may be left out."""

PLAIN: Final = "logging.Formatter"
JSON: Final = "tashi.JsonLines"
FORMATTERS: Final[Mapping[str, str]] = {PLAIN: PLAIN, JSON: "tashi.programs.loglines.JsonLines"}
"""The classes of formatters that may be named, and where they are."""

_NAMES: Final[Mapping[str, object]] = {
    "sys.stdout": Stream.OUT,
    "sys.stderr": Stream.ERR,
    "config": None,
} | {
    f"{owner}SysLogHandler.LOG_{facility.upper()}": facility
    for owner in ("", "handlers.", "logging.handlers.")
    for facility in SysLogHandler.facility_names
}


def _read_format(written: str) -> str:
    if text.read(written).startswith(_RESOLVED):
        raise Unsuitable(_WOULD_RESOLVE)
    return written


def _read_arguments(written: str) -> tuple[object, ...]:
    value = read_value(written, _NAMES)
    return value if isinstance(value, tuple) else (value,)  # old files say ('/dev/log')


def _read_named_arguments(written: str) -> dict[str, object]:
    value = read_value(written, _NAMES)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Unsuitable("is no dict of named arguments")
    return value


def _read_class(written: str) -> HandlerClass:
    known = implementation(*CLASSES)
    return CLASSES[known.read(written.removeprefix("logging."))]


def _write_class(made_of: HandlerClass) -> str:
    return made_of.name.removeprefix("logging.")


_level: Final = choice("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "NOTSET")
_format: Final = Kind("a text on one line", _read_format)
_arguments: Final = Kind("arguments such as (sys.stdout,) or ('/var/log/x.log',)", _read_arguments)
_named: Final = Kind("named arguments such as {'maxBytes': 1000000}", _read_named_arguments)
_class: Final = Kind(f"one of {', '.join(CLASSES)}", _read_class, _write_class)


@section("loggers")
class LoggersList:
    """Which loggers are set up."""

    keys: tuple[str, ...] = setting(
        "keys", several(word), default=("root",), words="The loggers; root is always one."
    )


@section("handlers")
class HandlersList:
    """Which handlers are set up; some are built in."""

    keys: tuple[str, ...] = setting(
        "keys",
        several(word),
        default=("consoleHandler",),
        words="""The handlers. Built in are consoleHandler, fileHandler, syslogHandler and
        publisherHandler; a [handler_<name>] section changes one or describes another.""",
    )


@section("formatters")
class FormattersList:
    """Which formatters are set up; some are built in."""

    keys: tuple[str, ...] = setting(
        "keys",
        several(word),
        default=("standardFormatter", "jsonFormatter"),
        words="The formatters. Built in are standardFormatter and jsonFormatter.",
    )


@section("logger_<name>")
class LoggerSettings:
    """What one logger passes on, and where to."""

    level: str = setting("level", _level, default="NOTSET", words="The least level passed on.")
    handlers: tuple[str, ...] = setting(
        "handlers", several(word), default=(), words="The handlers that its lines go to."
    )
    qualname: str | None = setting(
        "qualname", word, default=None, words="Its name in the code, such as tashi.wire."
    )
    propagate: bool = setting(
        "propagate", flag, default=True, words="Whether its lines go to the loggers above as well."
    )


@section("handler_<name>")
class HandlerSettings:
    """Where the lines of one handler go."""

    made_of: HandlerClass = setting(
        "class", _class, default=CLASSES["StreamHandler"], words="The kind of handler."
    )
    level: str = setting("level", _level, default="NOTSET", words="The least level let through.")
    formatter: str | None = setting(
        "formatter", word, default=None, words="How its lines are written."
    )
    args: tuple[object, ...] = setting(
        "args", _arguments, default=(), words="The class's arguments, as literals."
    )
    kwargs: dict[str, object] | None = setting(
        "kwargs", _named, default=None, words="Its named arguments, as a dict of literals."
    )


@section("formatter_<name>")
class FormatterSettings:
    """How lines are written."""

    format: str = setting(
        "format", _format, default="%(message)s", words="The line, with logging's %(names)s."
    )
    datefmt: str | None = setting(
        "datefmt", _format, default=None, words="The date, as for strftime; not set, ISO 8601."
    )
    style: str = setting("style", choice("%", "{", "$"), default="%", words="The kind of format.")
    made_of: str = setting(
        "class",
        choice(*FORMATTERS),
        default=PLAIN,
        words="""tashi.JsonLines writes each line as a JSON object, and has no use for the
        format.""",
    )
