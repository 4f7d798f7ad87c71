"""tashi-admin's work on books, with the real places: a flat file, SQLite, a real MariaDB."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from contracts.commits import a_commit, held, plain_commits
from databases import Server, empty
from system.sites import write
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.system.clock import SystemClock
from tashi.clustermanager.standby import Standby
from tashi.clustermanager.tenure import PULSE_SECONDS
from tashi.domain.errors import Misconfigured, Refused, ReignLost
from tashi.domain.host import Host
from tashi.domain.identity import HostId
from tashi.domain.journal import Kept, Put
from tashi.domain.restoring import LEAP
from tashi.ports.store import Store
from tashi.programs.bookkeeping import OurBookkeeper, _owned
from tashi.programs.clustermanager import LOOK_SECONDS

LEADER = "cm1:9882"
SQL = "tashi.clustermanager.data.SQL"
HISTORY = [*plain_commits(2), a_commit(3, Put(Host(id=HostId(7), name="h7")))]
Configure = Callable[..., OurBookkeeper]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """A bookkeeper of a machine whose [SQL] says that; the flat file without it."""

    def configured(**sql: object) -> OurBookkeeper:
        sections: dict[str, dict[str, object]] = {
            "Pickled": {"file": tmp_path / "cm.dat"},
            "Security": {"passwordTable": tmp_path / "passwords"},
        }
        if sql:
            sections |= {"ClusterManager": {"data": SQL}, "SQL": sql}
        write(tmp_path / "etc/Tashi.cfg", sections)
        monkeypatch.setenv("TASHI_CONFIG_DIRS", str(tmp_path / "etc"))
        return OurBookkeeper()

    return configured


def fed(store: Store) -> Kept:
    """Let a store hold the history; what it then holds."""
    with closing(store):
        store.load()
        for commit in HISTORY:
            store.commit(commit)
    return store.look()


def sqlite(path: Path) -> SqlStore:
    return SqlStore(Address(kind=SQLITE, path=path))


def test_books_move_from_a_flat_file_to_sqlite_and_back(
    configure: Configure, tmp_path: Path
) -> None:
    before = fed(FlatFile(tmp_path / "cm.dat"))
    bookkeeper = configure()

    there = bookkeeper.copy(f"file://{tmp_path}/cm.dat", f"sqlite:///{tmp_path}/books")
    back = bookkeeper.copy(f"sqlite:///{tmp_path}/books", f"file://{tmp_path}/cm%20two")

    assert (there.instances, there.hosts, there.events) == (2, 1, 3)
    assert there.digest == back.digest
    assert held(FlatFile(tmp_path / "cm two").look()) == held(before)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_books_move_to_mariadb_and_back(
    configure: Configure, tmp_path: Path, mariadb: Server
) -> None:
    before = fed(sqlite(tmp_path / "books"))
    mariadb.do("CREATE DATABASE moved")
    uri = "mysql://root@localhost/moved"
    bookkeeper = configure(uri=uri, socket=mariadb.socket)

    bookkeeper.copy(f"sqlite:///{tmp_path}/books", uri)
    bookkeeper.copy(uri, f"file://{tmp_path}/cm.dat")

    assert held(SqlStore(mariadb.address("moved")).look()) == held(before)
    assert held(FlatFile(tmp_path / "cm.dat").look()) == held(before)


@pytest.fixture
def ends(servers: Sequence[Server]) -> tuple[SqlStore, Server]:
    """A cluster manager's store of a shared database, and the server that an administrator asks."""
    empty("used", servers)
    servers[0].do(
        "CREATE OR REPLACE USER keeper@localhost", "GRANT ALL ON used.* TO keeper@localhost"
    )
    return SqlStore(servers[0].address("used"), holder=LEADER), servers[-1]


@contextmanager
def acting(act: Callable[[], object], every_seconds: float) -> Iterator[None]:
    """Let another thread do that again and again until the block ends."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(every_seconds):
            act()

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        try:
            yield
        finally:
            ended.set()
    going.result()


@pytest.mark.parametrize("user", ["root", "keeper"])
def test_a_database_that_a_cluster_manager_uses_is_left_alone(
    configure: Configure, tmp_path: Path, ends: tuple[SqlStore, Server], user: str
) -> None:
    manager, server = ends
    uri = f"mysql://{user}@localhost/used"
    bookkeeper = configure(uri=uri, socket=server.socket)
    numbers = count(2)
    with closing(manager):
        manager.load()
        manager.commit(HISTORY[0])

        with acting(lambda: manager.commit(a_commit(next(numbers))), PULSE_SECONDS):
            for work in (
                bookkeeper.upgrade,
                lambda: bookkeeper.copy(uri, f"file://{tmp_path}/cm.dat"),
            ):
                with pytest.raises(Refused, match=f"in use by the cluster manager at {LEADER}:"):
                    work()
            copied = bookkeeper.back_up(str(tmp_path / "backup"))

        manager.commit(a_commit(next(numbers)))

    assert (copied.instances, copied.events) == (1, 1)
    assert not (tmp_path / "cm.dat").exists()


def test_a_database_that_somebody_stands_by_for_is_left_alone(
    configure: Configure, ends: tuple[SqlStore, Server]
) -> None:
    manager, server = ends
    bookkeeper = configure(uri="mysql://keeper@localhost/used", socket=server.socket)
    with closing(manager):
        manager.load()
        manager.close()
        standby = Standby(manager, SystemClock(), 4.0)

        with (
            acting(standby.look, LOOK_SECONDS),
            pytest.raises(Refused, match=f"in use by the cluster manager at {LEADER}:"),
        ):
            bookkeeper.upgrade()


def test_a_database_of_a_dead_cluster_manager_is_worked_on_after_a_while(
    configure: Configure, tmp_path: Path, ends: tuple[SqlStore, Server]
) -> None:
    manager, server = ends
    uri = "mysql://keeper@localhost/used"
    bookkeeper = configure(uri=uri, socket=server.socket)
    with closing(manager):
        manager.load()
        manager.commit(HISTORY[0])

        copied = bookkeeper.copy(uri, f"file://{tmp_path}/cm.dat")

        with pytest.raises(ReignLost):
            manager.commit(HISTORY[1])
    assert copied.instances == 1


def test_a_copy_of_books_that_another_has_taken_meanwhile_is_no_copy(
    ends: tuple[SqlStore, Server],
) -> None:
    manager, server = ends
    copied = SqlStore(server.address("used"))

    with closing(manager), pytest.raises(ReignLost, match="no copy any more"), _owned(copied):
        manager.claim(manager.sight())


def test_books_that_a_cluster_manager_owns_are_backed_up_but_not_copied(
    configure: Configure, tmp_path: Path
) -> None:
    bookkeeper = configure()
    with closing(FlatFile(tmp_path / "cm.dat")) as manager:
        manager.load()
        manager.commit(HISTORY[0])

        copied = bookkeeper.back_up(str(tmp_path / "backup"))
        with pytest.raises(Refused, match="in use by another cluster manager"):
            bookkeeper.copy(f"file://{tmp_path}/cm.dat", f"sqlite:///{tmp_path}/books")

    assert copied.instances == 1
    assert not (tmp_path / "books").exists()


def test_a_backup_is_put_back_where_nothing_is(configure: Configure, tmp_path: Path) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))
    configure().back_up(str(tmp_path / "backup"))

    done = configure(uri=f"sqlite:///{tmp_path}/books").restore(str(tmp_path / "backup"), None)

    kept = sqlite(tmp_path / "books").look()
    assert (done.copied.instances, done.lost_from, done.next_instance) == (2, 1, LEAP)
    assert kept.counters.instance == LEAP
    assert done.since is not None
    assert done.since.timestamp() == HISTORY[-1].entries[-1].at


def test_a_restore_over_books_is_refused(configure: Configure, tmp_path: Path) -> None:
    before = fed(FlatFile(tmp_path / "cm.dat"))
    bookkeeper = configure()
    bookkeeper.back_up(str(tmp_path / "backup"))

    with pytest.raises(Refused, match="move these away first"):
        bookkeeper.restore(str(tmp_path / "backup"), None)

    assert held(FlatFile(tmp_path / "cm.dat").look()) == held(before)


def test_an_id_that_was_given_out_is_not_the_next(configure: Configure, tmp_path: Path) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))
    bookkeeper = configure()
    bookkeeper.back_up(str(tmp_path / "first"))
    (tmp_path / "cm.dat").unlink()
    bookkeeper.restore(str(tmp_path / "first"), None)
    bookkeeper.back_up(str(tmp_path / "second"))
    (tmp_path / "cm.dat").unlink()

    with pytest.raises(Refused, match=f"the backup itself goes on at {LEAP}"):
        bookkeeper.restore(str(tmp_path / "second"), LEAP - 1)

    assert not (tmp_path / "cm.dat").exists()


def test_where_no_books_are_nothing_is_written(configure: Configure, tmp_path: Path) -> None:
    bookkeeper = configure()

    with pytest.raises(Refused, match=r"no books in .*cm.dat: nothing was written"):
        bookkeeper.back_up(str(tmp_path / "backup"))
    with pytest.raises(Refused, match=r"no books at .*cm.dat: nothing was copied"):
        bookkeeper.copy(f"file://{tmp_path}/cm.dat", f"sqlite:///{tmp_path}/books")

    assert [path.name for path in tmp_path.iterdir()] == ["etc"]


@pytest.mark.parametrize("uri", ["/var/tmp/cm.dat", "file://cm.dat", "postgres://a/b", ""])
def test_what_is_no_place_for_books_is_said(configure: Configure, uri: str) -> None:
    with pytest.raises(Misconfigured, match="is no place for books: write file:///path"):
        configure().copy(uri, "sqlite:///books")


@pytest.mark.parametrize("uri", ["file:///a%00b", "sqlite:///a%00b"])
def test_a_place_that_no_file_can_have_is_said(configure: Configure, uri: str) -> None:
    with pytest.raises(Misconfigured, match="a character that cannot be printed"):
        configure().copy(uri, "sqlite:///books")


def test_no_password_is_repeated(configure: Configure, tmp_path: Path) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))

    with pytest.raises(Misconfigured) as refused:
        configure().copy("mysql://tashi:geheim@localhost/a/b", f"file://{tmp_path}/cm.dat")

    assert "geheim" not in str(refused.value)


def test_a_flat_file_needs_no_upgrade(configure: Configure, tmp_path: Path) -> None:
    fed(FlatFile(tmp_path / "cm.dat"))

    assert configure().upgrade() == []


def test_a_database_of_the_present_schema_needs_none_either(
    configure: Configure, tmp_path: Path
) -> None:
    fed(sqlite(tmp_path / "books"))

    assert configure(uri=f"sqlite:///{tmp_path}/books").upgrade() == []
