"""What every table of passwords promises (`tashi.ports.passwords`), held against each of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from contracts.commits import after, held, plain_commits
from databases import Server, empty
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.users.passwords import PasswordFile
from tashi.domain.errors import PasswordsFailed
from tashi.domain.identity import UserId
from tashi.domain.passwords import Hashed, PasswordLine
from tashi.ports.passwords import PasswordLines


def a_line(number: int, name: str, salt: bytes = b"salt") -> PasswordLine:
    return PasswordLine(UserId(number), name, Hashed(salt, b"\x00\xffhash"))


ADA, BOB = a_line(500, "ada"), a_line(501, "bob")
FIRST, SECOND = plain_commits(2)


class Opener(Protocol):
    """Opens tables in one place, and lets go of what they need."""

    def open(self) -> PasswordLines: ...
    def close(self) -> None: ...


class FileOpener:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "passwords"

    def open(self) -> PasswordLines:
        return PasswordFile(self._path)

    def close(self) -> None:
        """Nothing is held."""


class SqlOpener:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._store: SqlStore | None = None

    def open(self) -> PasswordLines:
        self.close()
        self._store = SqlStore(self._address)
        self._store.load()
        return self._store.passwords()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


REAL = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def maria(mariadb: Server) -> Callable[[Path], Opener]:
    def made(_folder: Path) -> Opener:
        mariadb.empty("secrets")
        return SqlOpener(mariadb.address("secrets"))

    return made


def in_sqlite(folder: Path) -> Opener:
    return SqlOpener(Address(kind=SQLITE, path=folder / "books"))


@pytest.fixture(
    scope="session", params=[FileOpener, in_sqlite, pytest.param("mariadb", marks=REAL)]
)
def make_opener(request: pytest.FixtureRequest) -> Callable[[Path], Opener]:
    made: Callable[[Path], Opener] = (
        request.getfixturevalue("maria") if request.param == "mariadb" else request.param
    )
    return made


@pytest.fixture
def opener(make_opener: Callable[[Path], Opener], tmp_path: Path) -> Iterator[Opener]:
    made = make_opener(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lines(opener: Opener) -> PasswordLines:
    return opener.open()


def test_at_first_there_are_none(lines: PasswordLines) -> None:
    assert lines.all() == ()
    assert lines.find(ADA.user) is None


def test_what_is_put_is_found_also_by_who_comes_next(opener: Opener, lines: PasswordLines) -> None:
    lines.put(ADA)
    lines.put(BOB)

    after = opener.open()

    assert after.find(ADA.user) == ADA.password
    assert set(after.all()) == {ADA, BOB}


@pytest.mark.parametrize("other", [a_line(500, "eve"), a_line(7, "ada"), a_line(500, "Ada")])
def test_who_has_one_of_number_and_name_has_nothing(
    lines: PasswordLines, other: PasswordLine
) -> None:
    lines.put(ADA)

    assert lines.find(other.user) is None


@pytest.mark.parametrize(
    "new", [a_line(500, "ada", b"new"), a_line(500, "eve", b"new"), a_line(7, "ada", b"new")]
)
def test_a_new_line_takes_the_place_of_those_with_its_number_or_its_name(
    lines: PasswordLines, new: PasswordLine
) -> None:
    lines.put(ADA)
    lines.put(BOB)

    lines.put(new)

    assert set(lines.all()) == {new, BOB}


def test_names_that_differ_in_capitals_or_accents_are_two(lines: PasswordLines) -> None:
    people = [a_line(1, "zoe"), a_line(2, "Zoe"), a_line(3, "zoë")]

    for one in people:
        lines.put(one)

    assert set(lines.all()) == set(people)


def test_what_is_dropped_is_gone_and_others_stay(lines: PasswordLines) -> None:
    lines.put(ADA)
    lines.put(BOB)

    lines.drop(ADA.user)
    lines.drop(ADA.user)

    assert lines.all() == (BOB,)


def test_many_are_begun_with_where_there_are_none(opener: Opener, lines: PasswordLines) -> None:
    lines.begin_with([])
    lines.begin_with([ADA, BOB])

    assert set(opener.open().all()) == {ADA, BOB}


def test_nothing_is_begun_with_where_there_are_some(lines: PasswordLines) -> None:
    lines.put(ADA)

    with pytest.raises(PasswordsFailed, match=r"There are passwords in .* already"):
        lines.begin_with([BOB])

    assert lines.all() == (ADA,)


# ---- what only a table beside the books can promise ---------------------------------------------


@pytest.mark.system
@pytest.mark.timeout(300)
def test_an_old_owner_of_the_books_changes_none(servers: Sequence[Server]) -> None:
    empty("secrets", servers)
    old, new = (SqlStore(one.address("secrets")) for one in (servers[0], servers[-1]))
    with closing(old), closing(new):
        old.load()
        old.passwords().put(ADA)
        new.claim(new.sight())

        acts: tuple[Callable[[], None], ...] = (
            lambda: old.passwords().put(BOB),
            lambda: old.passwords().drop(ADA.user),
            lambda: old.passwords().begin_with([BOB]),
        )
        for act in acts:
            with pytest.raises(PasswordsFailed, match="belong to another cluster manager now"):
                act()

        assert old.passwords().all() == new.passwords().all() == (ADA,)
        new.passwords().put(BOB)
        assert set(old.passwords().all()) == {ADA, BOB}


@pytest.mark.system
@pytest.mark.timeout(300)
def test_commits_go_on_beside_changes_and_the_books_have_nothing_of_them(
    servers: Sequence[Server],
) -> None:
    empty("secrets", servers)
    with closing(SqlStore(servers[0].address("secrets"))) as store:
        store.load()

        store.commit(FIRST)
        store.passwords().put(ADA)
        store.commit(SECOND)

        assert held(store.load()) == after([FIRST, SECOND])
        assert store.passwords().all() == (ADA,)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_database_that_is_away_is_said(mariadb: Server) -> None:
    mariadb.empty("secrets")
    store = SqlStore(mariadb.address("nowhere"))

    with pytest.raises(PasswordsFailed, match="cannot be read: there is no such database"):
        store.passwords().find(ADA.user)
    with pytest.raises(PasswordsFailed, match="cannot be changed: there is no such database"):
        store.passwords().put(ADA)
