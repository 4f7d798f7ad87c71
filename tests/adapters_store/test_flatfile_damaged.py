"""A flat file that is not as it was written: torn by a crash, or damaged otherwise, or foreign."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters_store.journals import contents, loaded, write_journal
from contracts.commits import a_commit, after, commit_sequences, held, plain_commits
from contracts.places import passing_folder
from tashi.adapters.store import lines
from tashi.domain.errors import Misconfigured
from tashi.domain.journal import Commit

HISTORY = plain_commits(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cm.dat"


# ---- torn ---------------------------------------------------------------------------------------

A_LINE = lines.written(a_commit(4)).line


@pytest.mark.parametrize(
    "tail",
    [
        A_LINE[:1],
        A_LINE[:-1],
        A_LINE[: len(A_LINE) // 2],
        A_LINE[:50] + bytes(len(A_LINE) - 51) + b"\n",
        bytes(100),
        b"\n",
    ],
    ids=["one byte", "no end", "half", "a hole", "zeros", "an end alone"],
)
def test_a_torn_last_line_is_cut_off_with_one_line_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture, tail: bytes
) -> None:
    *_, size = write_journal(path, HISTORY)
    with path.open("ab") as file:
        file.write(tail)

    kept = contents(path)

    assert held(kept) == after(HISTORY)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"{len(tail)} bytes from byte {size}" in caplog.text
    assert held(contents(path)) == after(HISTORY)
    assert len(caplog.records) == 1


@given(sequence=commit_sequences(), data=st.data())
def test_a_file_cut_off_anywhere_holds_every_commit_before_the_cut(
    sequence: list[Commit], data: st.DataObject
) -> None:
    with passing_folder() as folder:
        path = Path(folder) / "cm.dat"
        _, *ends = write_journal(path, sequence)
        cut = data.draw(st.integers(ends[0], ends[-1]))

        os.truncate(path, cut)

        assert held(contents(path)) == after(sequence[: sum(end <= cut for end in ends) - 1])


# ---- damaged ------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """The words with which the file is refused; it stays as it was."""
    before = path.read_bytes()

    with pytest.raises(Misconfigured) as refusal:
        contents(path)

    assert path.read_bytes() == before
    return refusal.value.message


@given(data=st.data())
def test_a_changed_byte_anywhere_but_in_the_last_line_is_told_with_its_line(
    data: st.DataObject,
) -> None:
    with passing_folder() as folder:
        path = Path(folder) / "cm.dat"
        offsets = write_journal(path, HISTORY)
        where = data.draw(st.integers(len(b'{"crc":"'), offsets[-2] - 1))
        content = bytearray(path.read_bytes())
        content[where] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)

        words = refused(path)

        line = max(offset for offset in offsets if offset <= where)
        assert f"{path} is damaged at byte {line} (line {offsets.index(line) + 1})" in words
        assert "Restore it from a backup" in words
        assert (f"truncate --size={line} {path}" in words) is (line > 0)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda rows: [rows[0], rows[2], rows[3]], "Commit 2 cannot follow commit 0"),
        (lambda rows: [rows[0], rows[1], rows[1], rows[2]], "Commit 1 cannot follow commit 1"),
        (lambda rows: [rows[0], rows[2], rows[1], rows[3]], "Commit 2 cannot follow commit 0"),
        (lambda rows: [*rows, rows[0]], "no CommitLine"),
        (lambda rows: rows[1:], "Invalid value 'commit'"),
        (lambda rows: [rows[0], lines.sealed(b'{"is":"commit","number":1}')], "missing"),
        (lambda rows: [rows[0], lines.sealed(b'{"is":"poem"}')], "poem"),
        (lambda rows: [rows[0], lines.sealed(b'{"is":')], "truncated"),
        (lambda rows: [rows[0].replace(b"books", b"bools"), *rows[1:]], "checksum"),
    ],
    ids=[
        "lost",
        "twice",
        "swapped",
        "begun again",
        "headless",
        "bare",
        "alien",
        "broken",
        "edited",
    ],
)
def test_whole_lines_that_make_no_sense_are_damage(
    path: Path, spoil: Callable[[list[bytes]], list[bytes]], why: str
) -> None:
    write_journal(path, HISTORY)
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))

    words = refused(path)

    assert "is damaged at byte" in words
    assert why in words


def test_a_record_with_impossible_values_is_damage(path: Path) -> None:
    write_journal(path, HISTORY)
    begin, first, *_ = path.read_bytes().splitlines(keepends=True)
    text = lines.unsealed(first).replace(b'"cores":1', b'"cores":"one"')
    path.write_bytes(begin + lines.sealed(text))

    assert "Expected `int`, got `str`" in refused(path)


def test_a_fresh_file_that_is_cut_off_is_damage(path: Path) -> None:
    write_journal(path, HISTORY)
    contents(path)  # which leaves a beginning of several lines
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[:2]))

    words = refused(path)

    assert "the file ends too early" in words
    assert "truncate" not in words


def test_the_remedy_works_as_it_is_printed(path: Path) -> None:
    offsets = write_journal(path, HISTORY)
    content = bytearray(path.read_bytes())
    content[offsets[2] + 30] ^= 1
    path.write_bytes(content)

    os.truncate(path, int(refused(path).partition("--size=")[2].split()[0]))

    assert held(contents(path)) == after(HISTORY[:1])


# ---- foreign ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"(dp0\nVa\np1\nI1\ns.",
        b"((dp0\n(dp1\n(dp2\n(dp3\ntp4\n.",
        b"(lp0\n.",
        b"(i__main__\nHost\np0\n.",
        b"ccopy_reg\n_reconstructor\np0\n.",
        b"}q\x00X\x01\x00\x00\x00aq\x01K\x01s.",
        b"(}q\x00}q\x01}q\x02}q\x03tq\x04.",
        b"]q\x00.",
        b"\x80\x02}q\x00.",
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00}\x94.",
        b"\x80\x05]\x94.",
    ],
)
def test_a_pickle_of_any_age_is_refused_unread(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert "is a pickle" in refused(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello\n", "is no file of Tashi's books"),
        (b"coffee\n", "is no file of Tashi's books"),
        (b'{"a": 1}\n', "is no file of Tashi's books"),
        (bytes(1000), "is no file of Tashi's books"),
        (b'{"crc":"', "is damaged at byte 0"),
    ],
)
def test_a_file_of_something_else_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)

    assert words in refused(path)


def test_a_file_of_a_newer_schema_is_refused(path: Path) -> None:
    newer = {"is": "books", "schema": lines.SCHEMA + 1, "novelty": True}
    path.write_bytes(lines.sealed(json.dumps(newer).encode()))

    assert f"(its schema is {lines.SCHEMA + 1}; this one knows" in refused(path)


def test_an_older_line_takes_every_step_that_it_lacks() -> None:
    upgrades: lines.Upgrades = (
        lambda line: {**line, "one": True},
        lambda line: {**line, "two": line.get("one")},
    )

    assert lines.present(b'{"n":1}', 1, upgrades) == b'{"n":1,"one":true,"two":true}'
    assert lines.present(b'{"n":1}', 2, upgrades) == b'{"n":1,"two":null}'
    assert lines.present(b'{"n": 1}', 3, upgrades) == b'{"n": 1}'


# ---- places that cannot be used -----------------------------------------------------------------


def a_missing_folder(folder: Path) -> Path:
    return folder / "none" / "cm.dat"


def a_folder(folder: Path) -> Path:
    (folder / "cm.dat").mkdir()
    return folder / "cm.dat"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "cm.dat"


def a_link(folder: Path) -> Path:
    (folder / "real").touch()
    (folder / "cm.dat").symlink_to(folder / "real")
    return folder / "cm.dat"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "cm.dat", 0o600)
    return folder / "cm.dat"


def writable_by_all(folder: Path) -> Path:
    write_journal(folder / "cm.dat", HISTORY)
    (folder / "cm.dat").chmod(0o666)
    return folder / "cm.dat"


def a_link_as_lock(folder: Path) -> Path:
    (folder / "cm.dat.lock").symlink_to(folder / "elsewhere")
    return folder / "cm.dat"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_missing_folder, "make its folder"),
        (a_folder, "is no ordinary file"),
        (below_a_file, "is no folder"),
        (a_link, "symbolic links are not followed"),
        (a_link_as_lock, "symbolic links are not followed"),
        (a_pipe, "is no ordinary file"),
        (writable_by_all, "chmod 600"),
        (lambda folder: folder / ("x" * 252), "File name too long"),
    ],
)
def test_a_place_that_cannot_be_used_is_named_with_the_remedy(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)

    with pytest.raises(Misconfigured) as refusal:
        contents(path)

    assert str(path) in refusal.value.message
    assert words in refusal.value.message


def test_a_file_of_somebody_else_is_not_believed(path: Path) -> None:
    write_journal(path, HISTORY)
    os.chown(path, 12345, -1)

    with pytest.raises(Misconfigured, match=f"chown {os.geteuid()} {path}"):
        contents(path)


def test_a_refused_file_is_not_kept_locked(path: Path) -> None:
    path.touch()
    refused(path)
    path.unlink()

    with loaded(path) as store:
        store.commit(HISTORY[0])
