"""Backups, and books that go from one place to another."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given

from contracts.commits import a_commit, commit_sequences, held, plain_commits
from contracts.places import FilePlace, Place, SqlitePlace, passing_folder
from tashi.adapters.store.backup import digest_of, put_into, read_backup, write_backup
from tashi.adapters.store.memory import MemoryStore
from tashi.domain.errors import Misconfigured, Refused
from tashi.domain.host import Host
from tashi.domain.identity import HostId
from tashi.domain.journal import Commit, Kept, Put

ONE, TWO, THREE = plain_commits(3)


def kept_after(*commits: Commit) -> Kept:
    store = MemoryStore()
    for commit in commits:
        store.commit(commit)
    return store.look()


@given(sequence=commit_sequences())
def test_what_goes_from_place_to_place_stays_the_same(sequence: list[Commit]) -> None:
    with passing_folder() as folder:
        there = Path(folder)
        first, second, third = (there / name for name in "123")
        for path in (second, third):
            path.mkdir()
        books = kept_after(*sequence)

        digests = {
            write_backup(first, books),
            *(
                put_into(place.open(), "books", read_backup(first))
                for place in (SqlitePlace(second), FilePlace(third))
            ),
        }

        assert digests == {digest_of(books)}
        assert held(read_backup(first)) == held(books)


def test_a_digest_tells_books_apart_that_differ_in_one_number() -> None:
    assert digest_of(kept_after(ONE, TWO)) != digest_of(kept_after(ONE, TWO, a_commit(3)))


def test_a_backup_is_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_backup(tmp_path / "b", kept_after(ONE))

    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["b", "b.new"])
def test_no_file_is_written_over(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("precious")

    with pytest.raises(Refused, match=f"{name} is there already"):
        write_backup(tmp_path / "b", kept_after(ONE))

    assert file.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"make its folder, or name another file in --file"):
        write_backup(tmp_path / "away/b", kept_after(ONE))

    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b"
    write_backup(file, kept_after(ONE, TWO))
    lines = file.read_bytes().splitlines(keepends=True)

    file.write_bytes(b"".join(lines[:-1]))

    with pytest.raises(Misconfigured, match="the file ends too early"):
        read_backup(file)


def test_a_backup_in_which_a_letter_has_changed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b"
    write_backup(file, kept_after(ONE, TWO))

    file.write_bytes(file.read_bytes().replace(b"web-2", b"web-3"))

    with pytest.raises(Misconfigured, match="its checksum does not match"):
        read_backup(file)


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "There is no file .*nothing"), ("else", "name another one in --file")],
)
def test_a_file_that_is_no_backup_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "else").write_text("something else")

    with pytest.raises(Misconfigured, match=words):
        read_backup(tmp_path / name)


def test_a_copy_of_a_flat_file_is_a_backup_as_it_is(tmp_path: Path) -> None:
    place = FilePlace(tmp_path)
    with closing(place.open()) as store:
        store.load()
        store.commit(ONE)
        store.commit(TWO)
        torn = place.path.read_bytes()[:-5]
    (tmp_path / "copy").write_bytes(torn)
    (tmp_path / "copy").chmod(0o600)

    assert held(read_backup(tmp_path / "copy")) == held(kept_after(ONE))


@pytest.mark.parametrize("kind", [FilePlace, SqlitePlace])
def test_books_are_never_written_over(tmp_path: Path, kind: Callable[[Path], Place]) -> None:
    place = kind(tmp_path)
    put_into(place.open(), "the place", kept_after(ONE))

    with pytest.raises(Refused, match=r"the place holds books already \(1 records, 1 commits\)"):
        put_into(
            place.open(), "the place", kept_after(a_commit(1, Put(Host(id=HostId(1), name="a"))))
        )

    assert held(place.open().look()) == held(kept_after(ONE))


@pytest.mark.parametrize("kind", [FilePlace, SqlitePlace])
def test_a_place_that_somebody_owns_takes_nothing(
    tmp_path: Path, kind: Callable[[Path], Place]
) -> None:
    place = kind(tmp_path)
    with closing(place.open()) as owner:
        owner.load()

        with pytest.raises(Refused, match="in use by another cluster manager"):
            put_into(place.open(), "the place", kept_after(ONE))

        owner.commit(ONE)
