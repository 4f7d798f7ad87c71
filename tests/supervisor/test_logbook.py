"""The log takes what it can, says what it lost, and never holds anyone up."""

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.domain.errors import Misconfigured
from tashi.supervisor.logbook import LogBook

ROOM = 4 * 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.log"


@pytest.fixture
def narrow(path: Path) -> Iterator[int]:
    """A log that is a pipe with little room, and its reading end."""
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, ROOM)
    yield reading
    os.close(reading)


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    path.write_text("older\n")
    log = LogBook(path)

    log.put(b"newer")
    log.say("It is said.")
    log.close()

    older, newer, said = path.read_text().splitlines()
    assert (older, newer) == ("older", "newer")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[nmd:INFO\] It is said\.", said)


def test_a_rotated_log_is_opened_anew(path: Path) -> None:
    log = LogBook(path)
    log.put(b"first")
    rotated = path.rename(path.with_suffix(".1"))

    log.put(b"still the old file")
    log.reopen()
    log.put(b"second")
    log.close()

    assert rotated.read_text() == "first\nstill the old file\n"
    assert path.read_text().endswith("[nmd:INFO] The log was opened anew.\nsecond\n")


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(path: Path) -> None:
    log = LogBook(path)
    rotated = path.rename(path.with_suffix(".1"))
    path.mkdir()

    log.reopen()
    log.put(b"second")
    log.close()

    complaint, second = rotated.read_text().splitlines()
    assert complaint.endswith(f"The log {path} cannot be opened anew (Is a directory).")
    assert second == "second"


def test_lines_lost_to_a_full_disk_are_counted_in_the_log(path: Path) -> None:
    path.symlink_to("/dev/full")
    log = LogBook(path)
    log.put(b"lost")
    log.put(b"lost as well")
    path.unlink()

    log.reopen()
    log.close()

    lost, anew = path.read_text().splitlines()
    assert lost.endswith(
        "[nmd:WARNING] 2 lines are missing here:"
        " the log could not be written (No space left on device)."
    )
    assert anew.endswith("The log was opened anew.")


def test_a_reader_that_stopped_reading_costs_lines_and_not_the_keeper(
    path: Path, narrow: int
) -> None:
    log = LogBook(path)
    log.put(b"x" * (ROOM - 1))

    log.put(b"lost after the log's patience")
    log.put(b"lost at once")
    os.read(narrow, ROOM)
    log.put(b"heard again")
    log.close()

    note, heard = os.read(narrow, ROOM).decode().splitlines()
    assert "2 lines are missing here" in note
    assert heard == "heard again"


def test_a_line_that_was_torn_does_not_run_into_the_next(path: Path, narrow: int) -> None:
    log = LogBook(path)
    log.put(b"x" * (ROOM + 1))
    os.read(narrow, ROOM)

    log.put(b"whole")
    log.close()

    _, note, whole = os.read(narrow, ROOM).decode().split("\n")[:3]
    assert "1 line is missing here" in note
    assert whole == "whole"


def test_a_log_that_cannot_be_written_is_a_misconfiguration(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "daemon.log"

    with pytest.raises(Misconfigured) as caught:
        LogBook(path)

    assert caught.value.message == (
        f"The log {path} cannot be written (No such file or directory): name another with --log."
    )
