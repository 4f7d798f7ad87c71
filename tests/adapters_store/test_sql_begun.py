"""Tables that two make at once in one empty database, as two cluster managers may."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from contracts.commits import plain_commits
from databases import Server
from databases import empty as empty_database
from tashi.adapters.store.sql import tables
from tashi.adapters.store.sql.accounting import AccountingTable
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.errors import Refused, ReignLost
from tashi.domain.journal import Kept
from tashi.ports.outlets import BEGINNING

DATABASE = "begun"
INDICES = sum(len(table.indexes) for table in tables.METADATA.tables.values())
MADE = len(tables.METADATA.tables) + INDICES


@pytest.fixture
def empty(mariadb: Server) -> Iterator[Address]:
    """A database without a table."""
    mariadb.do(f"CREATE OR REPLACE DATABASE {DATABASE}")
    yield mariadb.address(DATABASE)
    mariadb.do(f"DROP DATABASE {DATABASE}")


@contextmanager
def before_making(number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Let something happen before whoever is next makes so many tables and indices; what it made.

    What happens may make tables as well.
    """
    made: list[str] = []
    acting = threading.Event()

    def look(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if acting.is_set() or not words or words[0] != "CREATE":
            return
        if len(made) == number:
            acting.set()
            act()
            acting.clear()
        made.append(" ".join(words[:3]))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", look)


def begin(address: Address) -> None:
    with closing(SqlStore(address)) as store:
        store.load()


def shape(server: Server, database: str = DATABASE) -> list[tuple[object, ...]]:
    """The indices there, with their columns."""
    return server.do(
        "SELECT table_name, index_name, column_name FROM information_schema.statistics "
        f"WHERE table_schema = '{database}' ORDER BY 1, 2, 3"
    )


def whole_shape(server: Server) -> list[tuple[object, ...]]:
    """What a start makes that nobody disturbs, in a database of its own."""
    server.do(f"CREATE OR REPLACE DATABASE {DATABASE}_alone")
    begin(server.address(f"{DATABASE}_alone"))
    return shape(server, f"{DATABASE}_alone")


@pytest.mark.parametrize("number", [0, 1, MADE // 2, MADE - 1])
@pytest.mark.system
@pytest.mark.timeout(300)
def test_whoever_is_overtaken_while_it_makes_tables_finds_them_made(
    empty: Address, number: int
) -> None:
    with before_making(number, lambda: begin(empty)) as made, closing(SqlStore(empty)) as store:
        kept = store.load()
        store.commit(plain_commits(1)[0])

    assert kept == Kept()
    assert len(made) > number


def test_of_two_that_begin_at_once_one_leads_and_the_other_is_told(
    servers: Sequence[Server],
) -> None:
    ends = [servers[0].address(DATABASE), servers[-1].address(DATABASE)]
    servers[0].do(f"DROP DATABASE IF EXISTS {DATABASE}")
    empty_database(DATABASE, servers)

    with ThreadPoolExecutor(2) as pool:
        led = pool.map(partial(led_by, threading.Barrier(2)), ends)

    assert sorted(led) == [False, True]
    assert shape(servers[0]) == whole_shape(servers[-1])


def led_by(both: threading.Barrier, address: Address) -> bool:
    """Begin as a standby does, at the same time as another; whether the lease was got."""
    with closing(SqlStore(address)) as store:
        seen = store.sight()
        both.wait()
        try:
            store.claim(seen)
        except ReignLost:
            return False
        finally:
            both.wait()
        return store.load() == Kept()


@pytest.mark.system
@pytest.mark.timeout(300)
def test_an_index_that_was_not_made_any_more_is_made_by_the_next_start(
    empty: Address, mariadb: Server
) -> None:
    begin(empty)
    whole = shape(mariadb)
    mariadb.do(
        f"USE {DATABASE}", "DELETE FROM schema_steps", "DROP INDEX events_by_record ON events"
    )

    begin(empty)

    assert shape(mariadb) == whole


def test_of_two_that_begin_at_once_in_a_file_one_is_refused(tmp_path: Path) -> None:
    address = Address(kind=SQLITE, path=tmp_path / "books")
    both = threading.Barrier(2)

    def began(_: int) -> bool:
        with closing(SqlStore(address)) as store:
            both.wait()
            try:
                return store.load() == Kept()
            except Refused:
                return False
            finally:
                both.wait()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(began, range(2))) == [False, True]


def test_accounts_may_be_in_the_database_before_the_books(tmp_path: Path) -> None:
    address = Address(kind=SQLITE, path=tmp_path / "books")
    accounts = AccountingTable(address)
    accounts.place(lambda: BEGINNING)
    accounts.close()

    with closing(SqlStore(address)) as store:
        assert store.load() == Kept()
