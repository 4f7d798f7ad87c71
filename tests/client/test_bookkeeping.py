"""What tashi-admin says of backups, of moves between stores and of upgrades."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fakes.clients import Ended, Shell
from fakes.clusters import FakeClusterManager
from tashi.client import bookkeeping
from tashi.client.bookkeeping import Copied, Restored
from tashi.client.parser import Front
from tashi.domain.errors import Refused

COPIED = Copied("/backup/b", 3, 2, 40, "0123456789abcdef" * 4, passwords=5)


class FakeBookkeeper:
    """Remembers what it was asked, and does none of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.due: list[str] = []

    def upgrade(self) -> Sequence[str]:
        return self.due

    def copy(self, source: str, to: str) -> Copied:
        self.asked.append((source, to))
        return COPIED

    def back_up(self, file: str) -> Copied:
        if file == "/there":
            raise Refused("/there is there already: name another file, or remove it.")
        self.asked.append((file,))
        return COPIED

    def restore(self, file: str, next_instance: int | None) -> Restored:
        self.asked.append((file, next_instance))
        return Restored(COPIED, datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC), 17, 100_000)


@pytest.fixture
def bookkeeper() -> FakeBookkeeper:
    return FakeBookkeeper()


def typed(bookkeeper: FakeBookkeeper, *words: str, width: int | None = None) -> Ended:
    front = Front("tashi-admin", "What it does.", bookkeeping.commands(lambda: bookkeeper))
    return Shell(FakeClusterManager(), front, width=width).type(*words)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("upgradeDatabase", "upgrading the database"),
        ("copyState --from file:///a --to sqlite:///b", "copying the books"),
        ("backup --file b", "backing up the books"),
        ("restore --file b", "putting the books back"),
    ],
)
def test_whoever_looks_sees_what_takes_its_time(
    words: str, shown: str, bookkeeper: FakeBookkeeper
) -> None:
    seen, unseen = (typed(bookkeeper, *words.split(), width=width) for width in (80, None))

    assert shown in seen.err
    assert unseen.err == ""
    assert seen.out == unseen.out


def test_a_backup_says_what_is_in_it(bookkeeper: FakeBookkeeper) -> None:
    ended = typed(bookkeeper, "backup", "--file", "b")

    assert ended.out == (
        "3 instances, 2 hosts and 40 events are in /backup/b; read back, they are the same (digest "
        "0123456789abcdef). 5 passwords went with them.\n"
    )
    assert bookkeeper.asked == [("b",)]


def test_books_are_copied_between_two_places(bookkeeper: FakeBookkeeper) -> None:
    ended = typed(
        bookkeeper,
        *("copyState", "--from", "file:///a", "--to", "sqlite:///b", "--output", "json"),
    )

    assert json.loads(ended.out) == {
        "to": "/backup/b",
        "instances": 3,
        "hosts": 2,
        "events": 40,
        "digest": COPIED.digest,
        "passwords": 5,
    }
    assert bookkeeper.asked == [("file:///a", "sqlite:///b")]


def test_what_is_put_back_comes_with_what_will_become_of_the_guests(
    bookkeeper: FakeBookkeeper,
) -> None:
    ended = typed(bookkeeper, "restore", "--file", "b")

    assert "What happened after 2026-03-01 04:05:06 is lost." in ended.out
    assert "with an id from 17 to 99999 is of an instance that the books do not know" in ended.out
    assert "Every host is drained" in ended.out
    assert bookkeeper.asked == [("b", None)]


def test_scripts_get_the_same_as_numbers(bookkeeper: FakeBookkeeper) -> None:
    ended = typed(
        bookkeeper, *("restore", "--file", "b", "--nextInstance", "100000", "--output", "json")
    )

    told = json.loads(ended.out)
    assert (told["since"], told["lostFrom"], told["nextInstance"]) == (
        *("2026-03-01T04:05:06+00:00", 17, 100_000),
    )
    assert bookkeeper.asked == [("b", 100_000)]


@pytest.mark.parametrize(
    ("due", "words"),
    [
        ([], "Nothing is due.\n"),
        (["a column for owners", "an index"], "Done: a column for owners.\nDone: an index.\n"),
    ],
)
def test_an_upgrade_says_what_it_did(
    bookkeeper: FakeBookkeeper, due: list[str], words: str
) -> None:
    bookkeeper.due = due

    assert typed(bookkeeper, "upgradeDatabase").out == words


def test_what_is_refused_ends_with_its_code(bookkeeper: FakeBookkeeper) -> None:
    ended = typed(bookkeeper, "backup", "--file", "/there")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "tashi-admin: /there is there already: name another file, or remove it.\n"
