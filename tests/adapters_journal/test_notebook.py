"""A folder of notes: one owner, no half pages, and clear words about what does not belong there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters_journal import writer
from tashi.adapters.journal.notebook import FolderNotebook
from tashi.domain.errors import Misconfigured, Refused, StoreFailed
from tashi.domain.identity import Epoch, InstanceId

ONE = InstanceId(1)


@contextmanager
def notebook_in(folder: Path, host: str = "h1") -> Iterator[FolderNotebook]:
    notebook = FolderNotebook(folder, host)
    try:
        yield notebook
    finally:
        notebook.close()


def test_the_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with notebook_in(tmp_path / "var" / "notes"):
        mode = (tmp_path / "var" / "notes").stat().st_mode

    assert mode & 0o777 == 0o700


def test_a_second_node_manager_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    with notebook_in(tmp_path), pytest.raises(Refused, match="Another node manager uses"):
        FolderNotebook(tmp_path, "h1")

    FolderNotebook(tmp_path, "h1").close()


def test_a_folder_that_cannot_be_made_is_a_matter_of_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match="set infoDir"):
        FolderNotebook(tmp_path / "file" / "notes", "h1")


def test_guests_of_a_host_of_another_name_are_not_taken_up(tmp_path: Path) -> None:
    with notebook_in(tmp_path) as notebook:
        notebook.write(ONE, b"a guest")

    with pytest.raises(Misconfigured, match="guests of h1, and hostName is h2 now: set it back"):
        FolderNotebook(tmp_path, "h2")

    with notebook_in(tmp_path) as notebook:
        assert notebook.pages() == {ONE: b"a guest"}


def test_a_host_without_guests_may_be_renamed(tmp_path: Path) -> None:
    with notebook_in(tmp_path) as notebook:
        notebook.write(ONE, b"a guest")
        notebook.tear_out(ONE)

    with notebook_in(tmp_path, "h2") as notebook:
        notebook.write(ONE, b"a guest")

    with pytest.raises(Misconfigured, match="guests of h2, and hostName is h1 now"):
        FolderNotebook(tmp_path, "h1")


def test_a_page_is_a_file_that_people_can_read(tmp_path: Path) -> None:
    with notebook_in(tmp_path) as notebook:
        notebook.write(InstanceId(42), b'{"state":"running"}')

    assert (tmp_path / "42.json").read_text() == '{"state":"running"}'


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    with notebook_in(tmp_path) as notebook:
        notebook.write(ONE, b"whole")
        (tmp_path / "1.json.new").write_bytes(b"ha")
        (tmp_path / "epoch.new").write_bytes(b"9")

        pages = notebook.pages()

    assert pages == {ONE: b"whole"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["1.json", "host", "lock"]


@pytest.mark.parametrize("name", ["copy of 1.json", "1 (2).json", "-1.json", "².json", ".json"])
def test_what_is_no_page_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")

    with notebook_in(tmp_path) as notebook:
        notebook.write(ONE, b"one")
        pages = notebook.pages()

    assert pages == {ONE: b"one"}
    assert (tmp_path / name).read_text() == "{}"


def test_an_epoch_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text("seven")

    with notebook_in(tmp_path) as notebook, pytest.raises(Misconfigured, match="holds no number"):
        notebook.epoch()


def test_a_disk_that_went_away_is_told_by_every_method(tmp_path: Path) -> None:
    with notebook_in(tmp_path / "notes") as notebook:
        notebook.write(ONE, b"one")
        for one in (tmp_path / "notes").iterdir():
            one.unlink()
        (tmp_path / "notes").rmdir()
        (tmp_path / "notes").write_text("in its place")

        with pytest.raises(StoreFailed):
            notebook.write(ONE, b"two")
        with pytest.raises(StoreFailed):
            notebook.keep_epoch(Epoch(2))
        with pytest.raises(StoreFailed):
            notebook.tear_out(ONE)
        with pytest.raises(StoreFailed):
            notebook.epoch()
        with pytest.raises(StoreFailed):
            notebook.pages()


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [1, 2, 3, 5, 8, 13, 21, 40])
def test_a_writer_that_is_killed_leaves_whole_pages(tmp_path: Path, rounds: int) -> None:
    acknowledged = write_until_killed(tmp_path, rounds)

    with notebook_in(tmp_path) as notebook:
        pages, epoch = notebook.pages(), notebook.epoch()

    assert epoch in {acknowledged, acknowledged + 1}
    assert pages[writer.GUEST] in map(writer.page, (acknowledged, acknowledged + 1))
    passing = pages.get(writer.PASSING)
    assert passing in {None, writer.page(acknowledged), writer.page(acknowledged + 1)}


def write_until_killed(folder: Path, rounds: int) -> int:
    """The last round that was acknowledged by a writer killed after so many."""
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, writer.__file__, str(folder)]
    number = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            number = int(line)
            if number == rounds:
                process.kill()
    assert process.returncode == -9
    return number
