"""Lines that are held are whole, in order, and written before anybody may rely on them."""

import errno
import io
import logging
import logging.config
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.programs.heldlines import (
    PIECE_BYTES,
    StreamLines,
    WatchedLines,
    held,
    holding,
    write_held,
)
from tashi.settings.judge import Findings
from tashi.settings.layers import Reading
from tashi.settings.logs import read_logging
from tashi.settings.syntax import parse


class Pieces(io.StringIO):
    """A stream that remembers what it was given in one go."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []

    def write(self, text: str) -> int:
        self.all.append(text)
        return super().write(text)


@pytest.fixture
def pieces() -> Iterator[Pieces]:
    written = Pieces()
    handler = StreamLines(written)
    logger = logging.getLogger("tashi.trial")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)
    handler.close()


def say(*words: str) -> None:
    for word in words:
        logging.getLogger("tashi.trial").warning(word)


def in_another_thread(*words: str) -> None:
    thread = threading.Thread(target=say, args=words)
    thread.start()
    thread.join()


def test_lines_of_a_thread_are_written_together_at_the_end(pieces: Pieces) -> None:
    say("before")
    with held():
        say("one", "two", "three")
        early = list(pieces.all)
    say("after")

    assert early == ["before\n"]
    assert pieces.all == ["before\n", "one\ntwo\nthree\n", "after\n"]


def test_what_is_held_is_written_also_when_the_thread_fails(pieces: Pieces) -> None:
    def say_and_fail() -> None:
        with held():
            say("one")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        say_and_fail()

    assert pieces.getvalue() == "one\n"


def test_another_thread_can_have_written_what_is_held_so_far(pieces: Pieces) -> None:
    with held():
        say("one")
        writer = threading.Thread(target=write_held)
        writer.start()
        writer.join()
        early = pieces.getvalue()
        say("two")

    assert early == "one\n"
    assert pieces.getvalue() == "one\ntwo\n"


def test_a_line_of_another_thread_takes_those_before_it_along(pieces: Pieces) -> None:
    with held():
        say("one")
        in_another_thread("two")
        early = pieces.getvalue()
        say("three")

    assert early == "one\ntwo\n"
    assert pieces.getvalue() == "one\ntwo\nthree\n"


def test_another_thread_cannot_hold_lines_meanwhile(pieces: Pieces) -> None:
    def hold_and_say() -> None:
        with held():
            say("two")
            found.append(pieces.getvalue())

    found: list[str] = []
    with held():
        say("one")
        other = threading.Thread(target=hold_and_say)
        other.start()
        other.join()

    assert found == ["one\ntwo\n"]


def test_no_piece_is_larger_than_a_pipe_takes_whole_unless_one_line_is(pieces: Pieces) -> None:
    lines = [f"{number} {'ü' * 70}" for number in range(100)]
    long = "x" * (PIECE_BYTES + 1)

    with held():
        say(*lines, long, "end")

    assert pieces.getvalue().splitlines() == [*lines, long, "end"]
    assert [one for one in pieces.all if len(one.encode()) > PIECE_BYTES] == [f"{long}\n"]
    assert len(pieces.all) < len(lines) / 10


def test_a_line_that_cannot_be_made_leaves_the_others(
    pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    with held():
        say("one")
        logging.getLogger("tashi.trial").warning("%d", "no number")
        say("two")

    assert pieces.getvalue() == "one\ntwo\n"


class FullDisk(Pieces):
    """A stream whose disk is full, or is no longer."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_disk_that_is_full_is_named_once_and_the_log_goes_on_when_it_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = FullDisk()
    handler = StreamLines(disk)
    lines = [logging.makeLogRecord({"msg": f"line {number}"}) for number in range(6)]

    for line in lines[:3]:
        handler.handle(line)
    disk.is_full = False
    handler.handle(lines[3])
    disk.is_full = True
    for line in lines[4:]:
        handler.handle(line)

    words = "Lines for a stream of the log are lost until it can be written"
    assert capsys.readouterr().err == f"{words} (No space left on device).\n" * 2
    assert disk.getvalue() == "line 3\n"


def test_a_handler_that_is_closed_has_written_what_it_held() -> None:
    written = Pieces()
    handler = StreamLines(written)

    with held():
        handler.handle(logging.makeLogRecord({"msg": "one"}))
        handler.close()

    assert written.getvalue() == "one\n"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("FileHandler", ""),
        ("handlers.WatchedFileHandler", ""),
        ("handlers.RotatingFileHandler", ", 'a', 100000, 2"),
        ("handlers.TimedRotatingFileHandler", ", 'D', 1"),
    ],
)
def test_every_log_file_of_a_configuration_holds_lines(
    tmp_path: Path, kind: str, more: str
) -> None:
    log, reading, found = tmp_path / "log", Reading(), Findings()
    text = f"[handlers]\nkeys = h\n[handler_h]\nclass = {kind}\nargs = ('{log}'{more})\n"
    text = text.replace("')", "',)") + "formatter = standardFormatter\n"
    reading.lay(parse(text), "Tashi.cfg")
    configuration = holding(read_logging(reading.layers, found))
    (handler,) = configuration["handlers"].values()  # type: ignore[attr-defined]  # any dict
    logger = {"handlers": ["h"], "level": "INFO", "propagate": False}
    logging.config.dictConfig(
        {**configuration, "root": {}, "loggers": {"tashi.trial": logger}, "incremental": False}
    )

    with held():
        say("one", "two")
        early = log.read_text()
    logging.getLogger("tashi.trial").handlers.pop().close()
    logging.getLogger("tashi.trial").propagate = True

    assert str(handler["class"]).startswith("tashi.programs.heldlines.")
    assert early == ""
    assert [line.rpartition(" ")[2] for line in log.read_text().splitlines()] == ["one", "two"]


@pytest.mark.parametrize("delay", [False, True])
def test_a_log_file_that_cannot_be_opened_anew_ends_no_program(
    tmp_path: Path, delay: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "folder" / "log"
    log.parent.mkdir()
    handler = WatchedLines(log, delay=delay)
    if not delay:
        handler.handle(logging.makeLogRecord({"msg": "one"}))
        log.unlink()
    log.parent.rmdir()

    for word in ("two", "three"):
        handler.handle(logging.makeLogRecord({"msg": word}))
    with held():
        handler.handle(logging.makeLogRecord({"msg": "four"}))
    log.parent.mkdir()
    handler.handle(logging.makeLogRecord({"msg": "five"}))
    handler.close()

    assert log.read_text() == "five\n"
    assert capsys.readouterr().err == (
        f"Lines for {log} are lost until it can be written (No such file or directory).\n"
    )
