"""tashi-admin's work on passwords, which are beside the books and in none of them."""

import stat
from contextlib import closing
from pathlib import Path

import pytest

from programs.test_bookkeeping import HISTORY, Configure, configure, fed, sqlite
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.users.passwords import PasswordFile
from tashi.domain.errors import Refused
from tashi.domain.identity import UserId
from tashi.domain.passwords import Hashed, PasswordLine
from tashi.ports.passwords import PasswordLines

__all__ = ["configure"]

ADA = PasswordLine(UserId(500), "ada", Hashed(b"salt", b"hash"))
BOB = PasswordLine(UserId(501), "bob", Hashed(b"salt", b"hash"))


def test_passwords_move_with_the_books_from_their_file_into_a_database_and_back(
    configure: Configure, tmp_path: Path
) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))
    file, uri = PasswordFile(tmp_path / "passwords"), f"sqlite:///{tmp_path}/books"
    file.put(ADA)
    bookkeeper = configure()

    there = bookkeeper.copy(f"file://{tmp_path}/cm.dat", uri)
    in_database = sqlite(tmp_path / "books").passwords().all()
    file.path.unlink()
    back = bookkeeper.copy(uri, f"file://{tmp_path}/back")

    assert (there.passwords, back.passwords) == (1, 1)
    assert in_database == file.all() == (ADA,)


@pytest.mark.parametrize("sql", [{}, {"uri": "sqlite:///{}/books"}])
def test_a_backup_has_the_passwords_in_a_file_of_their_own_for_its_owner_alone(
    configure: Configure, tmp_path: Path, sql: dict[str, str]
) -> None:
    bookkeeper = configure(**{key: words.format(tmp_path) for key, words in sql.items()})
    places = Places(tmp_path, sql)
    places.fill()

    done = bookkeeper.back_up(str(tmp_path / "backup"))
    places.lose()
    put_back = bookkeeper.restore(str(tmp_path / "backup"), None)

    beside = tmp_path / "backup.passwords"
    assert (done.passwords, put_back.copied.passwords) == (1, 1)
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert b"aGFzaA==" in beside.read_bytes()
    assert b"aGFzaA==" not in (tmp_path / "backup").read_bytes()
    assert places.passwords().all() == (ADA,)


class Places:
    """Where a machine keeps its books and its passwords: in two files, or in one database."""

    def __init__(self, folder: Path, sql: object) -> None:
        self._books = folder / "books" if sql else folder / "cm.dat"
        self._passwords = None if sql else folder / "passwords"

    def fill(self) -> None:
        if self._passwords is None:
            with closing(sqlite(self._books)) as store:
                store.load()
                for commit in HISTORY:
                    store.commit(commit)
                store.passwords().put(ADA)
        else:
            fed(FlatFile(self._books))
            self.passwords().put(ADA)

    def lose(self) -> None:
        for path in self._books.parent.glob(f"{self._books.name}*"):
            path.unlink()
        if self._passwords is not None:
            self._passwords.unlink()

    def passwords(self) -> PasswordLines:
        return (
            sqlite(self._books).passwords()
            if self._passwords is None
            else PasswordFile(self._passwords)
        )


def test_passwords_that_are_there_already_are_newer_than_a_backups(
    configure: Configure, tmp_path: Path
) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))
    file = PasswordFile(tmp_path / "passwords")
    file.put(ADA)
    bookkeeper = configure()
    bookkeeper.back_up(str(tmp_path / "backup"))
    (tmp_path / "cm.dat").unlink()
    file.put(BOB)

    done = bookkeeper.restore(str(tmp_path / "backup"), None)

    assert done.copied.passwords == 0
    assert set(file.all()) == {ADA, BOB}


def test_a_backup_without_passwords_is_one_file(configure: Configure, tmp_path: Path) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))

    configure().back_up(str(tmp_path / "backup"))

    assert not (tmp_path / "backup.passwords").exists()


@pytest.mark.parametrize("there", ["backup", "backup.passwords"])
def test_a_backup_over_either_of_its_files_is_refused_and_leaves_neither(
    configure: Configure, tmp_path: Path, there: str
) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))
    PasswordFile(tmp_path / "passwords").put(ADA)
    (tmp_path / there).write_text("something")

    with pytest.raises(Refused, match=f"{there} is there already"):
        configure().back_up(str(tmp_path / "backup"))

    assert [path.name for path in tmp_path.glob("backup*")] == [there]


def test_an_upgrade_takes_the_files_passwords_over_once(
    configure: Configure, tmp_path: Path
) -> None:
    fed(sqlite(tmp_path / "books"))
    PasswordFile(tmp_path / "passwords").put(ADA)
    bookkeeper = configure(uri=f"sqlite:///{tmp_path}/books")

    first = bookkeeper.upgrade()
    PasswordFile(tmp_path / "passwords").put(BOB)
    second = bookkeeper.upgrade()

    assert first == [f"passwords taken over from {tmp_path}/passwords, which counts no longer: 1"]
    assert second == []
    assert sqlite(tmp_path / "books").passwords().all() == (ADA,)
