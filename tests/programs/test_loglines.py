"""Log lines that programs read, and a log that says more for a while."""

import io
import json
import logging
import logging.config
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest

from tashi.programs.loglines import JsonLines, TextLines, Verbosity, leave_out_the_unsaid
from tashi.settings.judge import Findings
from tashi.settings.layers import Reading
from tashi.settings.logs import read_logging
from tashi.settings.syntax import parse


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("tashi.trial")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def only_line(written: io.StringIO) -> dict[str, object]:
    (line,) = written.getvalue().splitlines()
    said = json.loads(line)
    assert isinstance(said, dict)
    return said


def test_a_line_is_one_object_with_what_it_is_about(lines: io.StringIO) -> None:
    logging.getLogger("tashi.trial").error(
        "%s is\nlost", "web", extra={"about": lambda: {"instance": "web", "instanceId": 7}}
    )

    said = only_line(lines)
    assert datetime.fromisoformat(str(said.pop("time"))).utcoffset() is not None
    assert said.pop("program")
    assert said == {
        "level": "ERROR",
        "logger": "tashi.trial",
        "pid": os.getpid(),
        "message": "web is\nlost",
        "instance": "web",
        "instanceId": 7,
    }


def test_what_a_line_is_about_takes_no_key_of_the_line_itself(lines: io.StringIO) -> None:
    logging.getLogger("tashi.trial").error("words", extra={"about": lambda: {"message": "others"}})

    assert only_line(lines)["message"] == "words"


def test_what_a_line_is_about_is_only_asked_for_objects() -> None:
    def asked() -> dict[str, object]:
        raise AssertionError("a line of text has no use for it")

    written = io.StringIO()
    handler, logger = logging.StreamHandler(written), logging.getLogger("tashi.trial")
    logger.addHandler(handler)
    try:
        logger.error("words", extra={"about": asked})
    finally:
        logger.removeHandler(handler)

    assert written.getvalue() == "words\n"


class Kept(logging.Handler):
    """Keeps records as they are, and lines as they would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.formatter = formatter
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


@pytest.fixture
def switches(monkeypatch: pytest.MonkeyPatch) -> None:
    for switch in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile"):
        monkeypatch.setattr(logging, switch, getattr(logging, switch))


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize(
    ("asked", "style"),
    [
        ("%(filename)s:%(lineno)d %(message)s", "%"),
        ("{funcName} in {pathname}: {message}", "{"),
        ("$module $threadName $processName $process $thread $message", "$"),
        ("%(levelname)s %(message)s", "%"),
    ],
)
def test_whatever_a_format_asks_for_is_said(asked: str, style: Literal["%", "{", "$"]) -> None:
    kept = Kept(logging.Formatter(asked, style=style))
    logger = logging.getLogger("tashi.trial")
    logger.addHandler(kept)

    for formats in ("thread processName filename", asked):  # whatever there is, and this
        leave_out_the_unsaid(formats)
        logger.error("words")
    logger.removeHandler(kept)

    everything, as_asked = kept.lines
    assert as_asked == everything
    assert "unknown" not in as_asked


@pytest.mark.usefixtures("switches")
def test_what_no_format_asks_for_is_not_looked_up() -> None:
    kept = Kept(logging.Formatter())
    logger = logging.getLogger("tashi.trial")
    logger.addHandler(kept)

    leave_out_the_unsaid("%(asctime)s [%(name)s:%(levelname)s] %(message)s")
    logger.error("words")
    logger.removeHandler(kept)

    (record,) = kept.records
    assert (record.thread, record.process, record.lineno) == (None, None, 0)


def test_a_traceback_stays_within_its_line(lines: io.StringIO) -> None:
    wrong = ValueError("of \udcff all\nthings")  # not even text that no encoding takes tears it

    logging.getLogger("tashi.trial").error("It failed", exc_info=wrong)

    assert "ValueError: of" in str(only_line(lines)["exception"])


def test_the_built_in_formatter_writes_such_lines(capsys: pytest.CaptureFixture[str]) -> None:
    reading, found = Reading(), Findings()
    text = "[handler_consoleHandler]\nformatter = jsonFormatter\nargs = (sys.stderr,)\n"
    reading.lay(parse(text), "T")
    made = read_logging(reading.layers, found)
    assert (found.mistakes, found.warnings) == ([], [])
    formatters = made["formatters"]
    assert isinstance(formatters, dict)
    configured = logging.config.DictConfigurator({"version": 1})
    formatter = configured.configure_formatter(dict(formatters["jsonFormatter"]))

    written = formatter.format(logging.makeLogRecord({"msg": "up", "levelname": "INFO"}))

    assert json.loads(written)["message"] == "up"
    assert capsys.readouterr().err == ""


def test_everything_is_said_until_the_next_time(lines: io.StringIO) -> None:
    quiet, ordinary = logging.getLogger("tashi.trial"), logging.getLogger("tashi.other")
    quiet.setLevel(logging.ERROR)
    before = logging.getLogger("tashi").level
    verbosity = Verbosity()

    verbosity.toggle()
    everything = quiet.isEnabledFor(logging.DEBUG) and ordinary.isEnabledFor(logging.DEBUG)
    quiet.debug("a detail")
    verbosity.toggle()
    quiet.warning("not an error")

    assert everything
    assert only_line(lines)["message"] == "a detail"
    assert quiet.level == logging.ERROR
    assert logging.getLogger("tashi").level == before


@pytest.mark.parametrize("datefmt", [None, "%H:%M:%S"])
@pytest.mark.parametrize("at", [(1.25,), (1.25, 1.75), (1.25, 2.0, 1.5), (0.0, 3600.0009)])
def test_lines_of_text_say_the_time_as_python_does(
    datefmt: str | None, at: tuple[float, ...]
) -> None:
    form = "%(asctime)s %(message)s"
    ours, python_s = TextLines(form, datefmt), logging.Formatter(form, datefmt)
    records = [
        logging.makeLogRecord({"msg": "words", "created": one, "msecs": one % 1 * 1000})
        for one in at
    ]

    assert [*map(ours.format, records)] == [*map(python_s.format, records)]
