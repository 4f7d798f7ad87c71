"""Log lines that programs read, and a log that says more for a while."""

import io
import json
import logging
import logging.config
import os
from collections.abc import Iterator
from datetime import datetime

import pytest

from tashi.programs.loglines import JsonLines, Verbosity
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
        "%s is\nlost", "web", extra={"about": {"instance": "web", "instanceId": 7}}
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
    logging.getLogger("tashi.trial").error("words", extra={"about": {"message": "others"}})

    assert only_line(lines)["message"] == "words"


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
