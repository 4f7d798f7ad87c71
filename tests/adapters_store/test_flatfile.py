"""What the flat file promises beyond the port: its form, its growth, its lock, its failures."""

import errno
import json
import logging
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from adapters_store.journals import contents, failing, loaded
from adapters_store.owner import nth_commit
from contracts.commits import a_commit, after, an_instance, held, plain_commits
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.schema import SCHEMA
from tashi.adapters.store.steps import Step
from tashi.domain.errors import Broken, OutcomeUnknown, Refused, StoreFailed
from tashi.domain.journal import Put

ONE, TWO, THREE = plain_commits(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cm.dat"


# ---- form ---------------------------------------------------------------------------------------


def test_every_line_is_json_that_says_what_it_is(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
    with loaded(path) as store:
        store.commit(TWO)

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [line["is"] for line in lines] == ["books", "entry", "answer", "commit"]
    assert lines[0]["schema"] == SCHEMA
    assert lines[1]["entry"]["instance"]["name"] == "web-1"
    assert lines[3]["entries"][0]["line"] == "CM VM UPDATE"


def test_the_file_and_its_lock_are_for_their_owner_only(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)

    modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}

    assert modes == {"cm.dat": 0o600, "cm.dat.lock": 0o600}


def test_no_commit_is_taken_before_the_file_is_loaded(path: Path) -> None:
    store = FlatFile(path)

    with pytest.raises(Broken, match="before it is loaded"):
        store.commit(ONE)


# ---- growth -------------------------------------------------------------------------------------


def test_a_file_that_grew_is_written_anew_without_what_no_longer_matters(path: Path) -> None:
    with loaded(path, least_growth=2000) as store:
        for number in range(1, 501):
            store.commit(a_commit(number, Put(an_instance(1)), forget=number))
            if store._snapshot is not None:  # commits do not wait for it, but size depends on it
                store._snapshot._thread.join()
        size = path.stat().st_size

    assert size < 50_000
    assert contents(path).number == 500


def test_commits_go_on_while_a_snapshot_is_written_and_are_in_it(path: Path) -> None:
    swaps = 0
    may_go_on = Event()

    def on_step(step: Step) -> None:
        nonlocal swaps
        swaps += step is Step.SWAP_DURABLE
        if step is Step.SNAPSHOT_WRITTEN and swaps == 1:  # the first swap is that of the start
            may_go_on.wait()

    with loaded(path, on_step, least_growth=1000) as store:
        for number in range(1, 101):
            store.commit(nth_commit(number))
        may_go_on.set()
        while swaps == 1:
            number += 1
            store.commit(nth_commit(number))

    assert held(contents(path)) == after([nth_commit(n + 1) for n in range(number)])


def test_a_snapshot_that_fails_is_told_and_the_journal_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    on_step = failing(Step.SNAPSHOT_WRITTEN, after=1, number=errno.ENOSPC)
    history = [nth_commit(number + 1) for number in range(200)]

    with loaded(path, on_step, least_growth=1000) as store:
        for commit in history:
            store.commit(commit)

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "goes on growing" in caplog.text
    assert held(contents(path)) == after(history)


@pytest.mark.parametrize("step", [Step.BEFORE_SWAP, Step.SWAPPED])
def test_a_swap_that_fails_costs_no_commit(
    path: Path, caplog: pytest.LogCaptureFixture, step: Step
) -> None:
    history = [nth_commit(number + 1) for number in range(200)]

    with loaded(path, failing(step, after=1), least_growth=1000) as store:
        for commit in history:
            store.commit(commit)

    assert len(caplog.records) == 1
    assert held(contents(path)) == after(history)


def test_closing_in_the_middle_of_a_snapshot_leaves_the_journal_alone(path: Path) -> None:
    with loaded(path, least_growth=1000) as store:
        for number in range(1, 5):
            store.commit(nth_commit(number))

    assert not path.with_name("cm.dat.new").exists()
    assert contents(path).number == 4


# ---- one owner ----------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_told_of_the_first(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        words = f"{path} is in use by another cluster manager \\(process {os.getpid()}\\)"

        with pytest.raises(Refused, match=words):
            FlatFile(path).load()

        store.commit(TWO)
    assert contents(path).number == 2


# ---- failures -----------------------------------------------------------------------------------


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to make any file larger than that: a full disk for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_fits_in_part_is_cut_off_again(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        size = path.stat().st_size

        with largest_file(size + 100), pytest.raises(StoreFailed, match=r"\(File too large\)"):
            store.commit(TWO)

        assert path.stat().st_size == size
        store.commit(TWO)
    assert held(contents(path)) == after([ONE, TWO])


def commit_until_refused(store: FlatFile) -> tuple[int, str]:
    """Fill the disk with commits; gives the number of the one that did not fit, and the words."""
    for number in range(1, 500):
        try:
            store.commit(nth_commit(number))
        except StoreFailed as full:
            return number, full.message
    pytest.fail("500 commits do not fill the disk")


@pytest.mark.system
def test_a_full_disk_refuses_commits_and_takes_them_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cm.dat"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", tmp_path], check=True)
    try:
        with loaded(path) as store:
            (tmp_path / "ballast").write_bytes(bytes(64 * 1024))
            number, words = commit_until_refused(store)
            (tmp_path / "ballast").unlink()

            store.commit(nth_commit(number))

        assert "(No space left on device); nothing of it happened" in words
        assert held(contents(path)) == after([nth_commit(n + 1) for n in range(number)])
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_part_that_cannot_be_cut_off_is_left_behind_with_its_file(path: Path) -> None:
    with loaded(path, failing(Step.BEFORE_CUT)) as store:
        store.commit(ONE)
        with largest_file(path.stat().st_size + 100), pytest.raises(StoreFailed):
            store.commit(TWO)

        store.commit(TWO)

    assert held(contents(path)) == after([ONE, TWO])


def test_a_line_whose_fsync_failed_is_not_believed_though_it_can_be_read(path: Path) -> None:
    with loaded(path, failing(Step.BEFORE_FSYNC, after=1)) as store:
        store.commit(ONE)
        with pytest.raises(OutcomeUnknown, match="may not have reached the disk"):
            store.commit(TWO)
        before = path.read_bytes()

        number = store.settle()

        assert number == 1
        assert b"web-2" in before
        assert b"web-2" not in path.read_bytes()
        store.commit(TWO)
    assert held(contents(path)) == after([ONE, TWO])


@pytest.mark.parametrize(
    "step", [Step.SNAPSHOT_BEGUN, Step.SNAPSHOT_WRITTEN, Step.BEFORE_SWAP, Step.SWAPPED]
)
def test_settling_that_fails_can_be_tried_again(path: Path, step: Step) -> None:
    fsync, other = failing(Step.BEFORE_FSYNC), failing(step, after=1)

    def on_step(reached: Step) -> None:
        fsync(reached)
        other(reached)

    with loaded(path, on_step) as store:
        with pytest.raises(OutcomeUnknown):
            store.commit(ONE)
        with pytest.raises(StoreFailed, match="must be written anew"):
            store.settle()

        assert store.settle() == 0

        store.commit(ONE)
    assert contents(path).number == 1


def test_a_file_that_cannot_be_begun_fails_the_commit_and_nothing_else(path: Path) -> None:
    steps = failing(Step.BEFORE_CUT, Step.SNAPSHOT_BEGUN)
    with loaded(path, steps) as store:
        store.commit(ONE)
        with largest_file(path.stat().st_size + 100), pytest.raises(StoreFailed):
            store.commit(TWO)

        with pytest.raises(StoreFailed, match="nothing of it happened"):
            store.commit(TWO)

        store.commit(TWO)
    assert held(contents(path)) == after([ONE, TWO])


def test_a_file_that_is_removed_is_written_again(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        path.unlink()

        store.commit(TWO)

    assert held(contents(path)) == after([ONE, TWO])


def test_nothing_is_written_once_another_file_has_the_name(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        path.rename(path.with_name("mine"))
        path.write_text("another owner's")

        with pytest.raises(StoreFailed, match="somebody put another file in its place"):
            store.commit(TWO)

    assert path.read_text() == "another owner's"
    assert contents(path.with_name("mine")).number == 1


def test_a_file_that_is_removed_at_rest_is_there_again_before_anything_changes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        path.unlink()

        store.tend()
        store.tend()

    assert held(contents(path)) == after([ONE])
    assert caplog.text.count(f"{path} was removed") == 1


def test_who_tends_to_a_file_that_another_took_the_place_of_is_told(path: Path) -> None:
    with loaded(path) as store:
        store.commit(ONE)
        path.rename(path.with_name("mine"))
        path.write_text("another owner's")

        with pytest.raises(StoreFailed, match="in the memory of this process only"):
            store.tend()

    assert path.read_text() == "another owner's"


def test_a_lock_that_is_removed_lets_nobody_else_in(path: Path) -> None:
    with loaded(path) as store:
        path.with_name("cm.dat.lock").unlink()

        with pytest.raises(Refused, match="in use by another cluster manager"):
            FlatFile(path).load()

        store.commit(ONE)
    assert held(contents(path)) == after([ONE])
