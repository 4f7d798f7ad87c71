"""One keeper a daemon: the lock decides, whatever the file says."""

import os
from pathlib import Path

import pytest

from tashi.domain.errors import Misconfigured, Refused
from tashi.supervisor.pidfile import PidFile, stop_keeper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nmd.pid"


def test_the_holder_writes_its_number_and_takes_the_file_away(path: Path) -> None:
    held = PidFile(path)
    held.sign()
    number = path.read_text()
    held.remove()

    assert number == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_second_keeper_is_refused_with_the_first_ones_number(path: Path) -> None:
    held = PidFile(path)
    held.sign()

    with pytest.raises(Refused) as caught:
        PidFile(path)

    held.remove()
    assert caught.value.message == (
        f"An nmd with pid {os.getpid()} keeps this daemon already: it holds {path}."
    )


def test_a_file_that_was_left_behind_keeps_nobody_out(path: Path) -> None:
    path.write_text("1\nolder and longer\n")

    held = PidFile(path)
    held.sign()

    assert path.read_text() == f"{os.getpid()}\n"
    held.remove()


@pytest.mark.parametrize("content", [None, "", "nonsense", "-5", "99999999999999999999", "1"])
def test_a_stop_that_finds_no_keeper_is_refused_and_signals_nobody(
    path: Path, content: str | None
) -> None:
    if content is not None:
        path.write_text(content)

    with pytest.raises(Refused, match=f"^No nmd is running here: nobody holds {path}.$"):
        stop_keeper(path, patience_seconds=0)


def test_a_link_in_the_pid_files_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    path.symlink_to(precious)

    with pytest.raises(Misconfigured, match=r"cannot be written .*: name another with --pid-file"):
        PidFile(path)

    assert precious.read_text() == "kept"
