"""Several daemons write to one log that its handlers rotate, and die meanwhile: no line is lost."""

import fcntl
import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from programs import log_writer
from tashi.programs.logfiles import SizedLog, TimedLog

LINES = 250
WRITERS = 3
KILLED = 4
SEED = 20_266


def started(handler: str, name: str) -> "subprocess.Popen[str]":
    """A program that logs by that handler, under a name of its own."""
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(
        [sys.executable, log_writer.__file__, handler, name, str(LINES)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def in_all(log: Path) -> Counter[str]:
    """How often each line stands in the log or in what was rotated away."""
    files = [path for path in log.parent.iterdir() if path.name.startswith(log.name)]
    return Counter(line for path in files for line in path.read_text().splitlines())


@pytest.mark.timeout(120)
def test_programs_that_share_a_log_rotated_by_size_lose_no_line(tmp_path: Path) -> None:
    log, draws, said = tmp_path / "tashi.log", random.Random(SEED), ""
    handler = f"class = handlers.RotatingFileHandler\nargs = ('{log}', 'a', 300, 400)"

    with ExitStack() as running:
        daemons = [running.enter_context(started(handler, f"d{n}")) for n in range(WRITERS)]
        for number in range(KILLED):
            with started(handler, f"k{number}") as doomed:
                assert doomed.stdout is not None
                said += "".join(doomed.stdout.readline() for _ in range(draws.randint(1, LINES)))
                doomed.kill()
                said += doomed.stdout.read()
        ends = [daemon.communicate() for daemon in daemons]

    assert [trouble for _, trouble in ends] == [""] * WRITERS
    said += "".join(words for words, _ in ends)
    found = in_all(log)
    assert [line for line in said.splitlines() if found[line] != 1] == []
    assert len(list(tmp_path.iterdir())) > 2


@pytest.fixture
def two_by_time(tmp_path: Path) -> Iterator[list[TimedLog]]:
    """Two daemons' handlers of one log, for both of which it is time to rotate it."""
    made = [TimedLog(str(tmp_path / "tashi.log"), when="S", interval=100) for _ in range(2)]
    for number, handler in enumerate(made):
        handler.emit(line(f"before-{number}"))
        handler.rolloverAt -= 200
    yield made
    for handler in made:
        handler.close()


def line(words: str) -> logging.LogRecord:
    """A record that says this."""
    return logging.makeLogRecord({"msg": words})


def files(log: Path) -> dict[str, list[str]]:
    """The lines of the log, and of what was rotated away."""
    return {
        "rotated" if path != log else "log": path.read_text().splitlines()
        for path in log.parent.iterdir()
    }


def test_when_it_is_time_one_of_them_rotates_and_the_others_follow(
    tmp_path: Path, two_by_time: list[TimedLog]
) -> None:
    first, second = two_by_time

    first.emit(line("after-0"))
    second.emit(line("after-1"))
    second.emit(line("later-1"))

    assert files(tmp_path / "tashi.log") == {
        "rotated": ["before-0", "before-1"],
        "log": ["after-0", "after-1", "later-1"],
    }


def test_while_somebody_else_rotates_lines_go_on(
    tmp_path: Path, two_by_time: list[TimedLog]
) -> None:
    log = tmp_path / "tashi.log"

    with log.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        two_by_time[0].emit(line("meanwhile"))
        before = files(log)
    two_by_time[0].emit(line("after"))

    assert before == {"log": ["before-0", "before-1", "meanwhile"]}
    assert files(log) == {"rotated": ["before-0", "before-1", "meanwhile"], "log": ["after"]}


class Failing(SizedLog):
    """Keeps what it could not write."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), maxBytes=1000, backupCount=3)
        self.failed: list[str] = []

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Keep it."""
        self.failed.append(record.msg)


def test_a_log_that_cannot_be_opened_anew_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    handler = Failing(folder / "tashi.log")

    folder.rename(tmp_path / "elsewhere")
    handler.emit(line("lost"))
    folder.mkdir()
    handler.emit(line("well"))
    handler.close()

    assert handler.failed == ["lost"]
    assert (folder / "tashi.log").read_text() == "well\n"
