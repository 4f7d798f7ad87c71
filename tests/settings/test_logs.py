"""The logging sections are data: they become a dict, or a mistake, and are never evaluated."""

import logging
import logging.config
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.settings.judge import Findings
from tashi.settings.layers import Reading
from tashi.settings.logs import read_logging
from tashi.settings.syntax import parse


def read(text: str = "") -> tuple[dict[str, object], list[str], list[str]]:
    reading, found = Reading(), Findings()
    reading.lay(parse(text), "T")
    configuration = read_logging(reading.layers, found)
    return configuration, [str(mistake) for mistake in found.mistakes], found.warnings


def handler(text: str) -> object:
    configuration, mistakes, _ = read(
        f"[handlers]\nkeys = consoleHandler, h\n[handler_h]\n{text}\n"
    )
    assert mistakes == []
    handlers = configuration["handlers"]
    assert isinstance(handlers, dict)
    return handlers["h"]


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for each in root.handlers:
        if each not in handlers:
            each.close()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("tashi.trial").handlers.clear()


def test_without_a_word_in_any_file_lines_go_to_standard_error() -> None:
    configuration, mistakes, warnings = read()

    assert configuration == {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "standardFormatter": {
                "format": "%(asctime)s [%(name)s:%(levelname)s] %(message)s",
                "datefmt": None,
                "style": "%",
            },
            "jsonFormatter": {
                "class": "tashi.programs.loglines.JsonLines",
                "format": "%(message)s",
                "datefmt": None,
                "style": "%",
            },
        },
        "handlers": {
            "consoleHandler": {
                "class": "logging.StreamHandler",
                "level": "NOTSET",
                "formatter": "standardFormatter",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": "INFO", "handlers": ["consoleHandler"]},
        "loggers": {},
    }
    assert (mistakes, warnings) == ([], [])


@pytest.mark.usefixtures("logging_as_before")
def test_the_dict_is_one_that_dict_config_takes(tmp_path: Path) -> None:
    log = tmp_path / "tashi.log"
    configuration, mistakes, _ = read(
        f"[loggers]\nkeys = root, trial\n"
        f"[handlers]\nkeys = fileHandler, publisherHandler\n"
        f"[logger_root]\nhandlers = fileHandler, publisherHandler\n"
        f"[logger_trial]\nqualname = tashi.trial\nlevel = WARN\nhandlers =\npropagate = 1\n"
        f"[handler_fileHandler]\nargs = ('{log}', 'w')\n"
        f"[formatter_standardFormatter]\nformat = %(levelname)s %(message)s\n"
    )
    assert mistakes == []

    logging.config.dictConfig(configuration)
    logging.getLogger("tashi.trial").warning("seen")
    logging.getLogger("tashi.trial").info("not seen")

    assert log.read_text() == "WARNING seen\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "class = logging.handlers.RotatingFileHandler\nargs = ('/x', 'a', 1000, 3)",
            {
                "class": "tashi.programs.logfiles.SizedLog",
                "level": "NOTSET",
                "filename": "/x",
                "mode": "a",
                "maxBytes": 1000,
                "backupCount": 3,
            },
        ),
        (
            "class = handlers.TimedRotatingFileHandler\nargs = ('/x',)\nkwargs = {'when': 'D'}",
            {
                "class": "tashi.programs.logfiles.TimedLog",
                "level": "NOTSET",
                "filename": "/x",
                "when": "D",
            },
        ),
        (
            (
                "class = handlers.SysLogHandler\n"
                "args = (('loghost', 514), handlers.SysLogHandler.LOG_DAEMON)\nlevel = error"
            ),
            {
                "class": "logging.handlers.SysLogHandler",
                "level": "ERROR",
                "address": ("loghost", 514),
                "facility": "daemon",
            },
        ),
        (
            "class = handlers.SysLogHandler\nargs = ('/dev/log')",
            {
                "class": "logging.handlers.SysLogHandler",
                "level": "NOTSET",
                "address": "/dev/log",
            },
        ),
        (
            "class = StreamHandler\nargs = (sys.stdout,)\nformatter = standardFormatter",
            {
                "class": "logging.StreamHandler",
                "level": "NOTSET",
                "formatter": "standardFormatter",
                "stream": "ext://sys.stdout",
            },
        ),
        (
            "class = tashi.messaging.MessagingLogHandler\nargs = (config,)",
            {
                "class": "tashi.programs.loglines.Publisher",
                "level": "NOTSET",
                "config": None,
            },
        ),
    ],
)
def test_a_handlers_arguments_find_their_parameters(text: str, expected: object) -> None:
    assert handler(text) == expected


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "[handlers]\nkeys = consoleHandler,filHandler\n",
            (
                "T:2: [handlers] keys = consoleHandler,filHandler: names filHandler, "
                "but there is no [handler_filHandler]; did you mean fileHandler?"
            ),
        ),
        (
            "[logger_root]\nhandlers = fileHandler\n",
            (
                "T:2: [logger_root] handlers = fileHandler: names fileHandler, "
                "which [handlers] keys does not"
            ),
        ),
        (
            "[handlers]\nkeys = fileHandler\n",
            (
                "default: [logger_root] handlers = consoleHandler: names consoleHandler, "
                "which [handlers] keys does not"
            ),
        ),
        (
            "[handler_consoleHandler]\nformatter = standard\n",
            (
                "T:2: [handler_consoleHandler] formatter = standard: names standard, "
                "which [formatters] keys does not; did you mean standardFormatter?"
            ),
        ),
        (
            "[loggers]\nkeys = root, wire\n",
            "T:2: [loggers] keys = root, wire: names wire, but there is no [logger_wire]",
        ),
        (
            "[handler_consoleHandler]\nclass = os.system\n",
            "T:2: [handler_consoleHandler] class = os.system: names nothing that this Tashi has",
        ),
        (
            "[handler_consoleHandler]\nargs = (open('/etc/passwd'),)\n",
            (
                "T:2: [handler_consoleHandler] args = (open('/etc/passwd'),): "
                "holds more than plain values"
            ),
        ),
        (
            "[handler_consoleHandler]\nargs = (sys.stdout, 1)\n",
            "has more than the 1 arguments that the class takes",
        ),
        (
            "[handler_consoleHandler]\nargs = ('ext://os.environ',)\n",
            "has a stream of the wrong type",
        ),
        (
            "[handler_consoleHandler]\nclass = FileHandler\nargs = ('ext://os.environ',)\n",
            "begins with ext:// or cfg://, which logging would resolve",
        ),
        (
            (
                "[handler_consoleHandler]\nclass = handlers.SysLogHandler\n"
                "args = (('\\x63fg://handlers', 1),)\n"
            ),
            "begins with ext:// or cfg://",
        ),
        (
            "[handler_consoleHandler]\nargs = ()\nkwargs = {'strm': 1}\n",
            (
                "T:3: [handler_consoleHandler] kwargs = {'strm': 1}: names strm, "
                "which the class does not take"
            ),
        ),
        (
            "[handler_consoleHandler]\nclass = handlers.SysLogHandler\nargs = ('/x', 'nobody')\n",
            "has a facility that is none of auth, ",
        ),
        ("[handler_consoleHandler]\nkwargs = [1]\n", "is no dict of named arguments"),
        ("[handler_consoleHandler]\nkwargs = {1: 2}\n", "is no dict of named arguments"),
        (
            "[handler_consoleHandler]\nlevle = DEBUG\n",
            "T:2: [handler_consoleHandler] levle: is not known; did you mean level?",
        ),
        (
            "[formatter_standardFormatter]\nformat = %(messag)s\n",
            "T:2: [formatter_standardFormatter] format = %(messag)s: is no format for log lines (",
        ),
        ("[formatter_standardFormatter]\nformat = %(message)\n", "is no format for log lines"),
        (
            "[formatter_standardFormatter]\nformat = ext://os.environ\n",
            "begins with ext:// or cfg://",
        ),
        ("[logger_root]\nlevel = LOUD\n", "is not one of the choices; write one of DEBUG"),
        (
            "[loggers]\nkeys = w\n[logger_w]\nhandlers = h\n",
            "T:4: [logger_w] handlers = h: names h, which [handlers] keys does not",
        ),
    ],
)
def test_what_does_not_fit_is_a_mistake_with_its_place(text: str, mistake: str) -> None:
    _, mistakes, _ = read(text)

    assert len(mistakes) == 1
    assert mistake in mistakes[0]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "[handler_consolHandler]\nlevel = DEBUG\n",
            (
                "T:2: [handler_consolHandler] has no effect: [handlers] keys does not name "
                "consolHandler; did you mean consoleHandler?"
            ),
        ),
        (
            "[logger_wire]\nlevel = DEBUG\n",
            "T:2: [logger_wire] has no effect: [loggers] keys does not name wire",
        ),
    ],
)
def test_a_section_that_no_list_names_is_warned_of(text: str, warning: str) -> None:
    _, mistakes, warnings = read(text)

    assert (mistakes, warnings) == ([], [warning])
