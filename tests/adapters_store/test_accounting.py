"""The accounting daemon's table, in SQLite and in a real MariaDB that is killed and comes back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from databases import Server
from fakes.history import RACK, instance
from tashi.adapters.store.sql.accounting import AccountingTable
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.connecting import connected
from tashi.domain.errors import BadRequest, StoreFailed
from tashi.domain.identity import EventNumber
from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState as S
from tashi.ports.outlets import BEGINNING, Place
from tashi.wire import forms as f
from tashi.wire import history

WEB = instance(7, S.RUNNING, host_id=1)
EVENTS = [
    f.EntryForm(1, 10.25, "CM VM UPDATE", "rack1", Kind.INSTANCE, 7, instance=WEB),
    f.EntryForm(2, 11.0, "CM HOST REGISTER", "root", Kind.HOST, 1, host=RACK),
    f.EntryForm(3, 12.0, "", "root", Kind.USER, 5, user=f.UserForm(5, "a\U0001f600")),
    f.EntryForm(4, 13.0, "", "", Kind.INSTANCE, 7),
]
LINES = history.event_lines(EVENTS).splitlines(keepends=True)
COLUMNS = "number, at, line, caused_by, kind, record_id, name, user_id, host_id, state, cores"
ROWS = [
    (1, 10.25, "CM VM UPDATE", "rack1", "instance", 7, "i7", 1000, 1, 3, 2),
    (2, 11.0, "CM HOST REGISTER", "root", "host", 1, "rack1", None, None, None, 8),
    (3, 12.0, "", "root", "user", 5, "a\U0001f600", None, None, None, None),
    (4, 13.0, "", "", "instance", 7, None, None, None, None, None),
]
Ask = Callable[[str], list[tuple[object, ...]]]


def asker(address: Address) -> Ask:
    def ask(query: str) -> list[tuple[object, ...]]:
        with connected(address) as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


def begun(table: AccountingTable) -> Place:
    return table.place(lambda: BEGINNING)


@pytest.fixture
def file(tmp_path: Path) -> Address:
    return Address(kind=SQLITE, path=tmp_path / "accounting.db", timeout=0.2)


@pytest.fixture
def server(mariadb_template: Path, tmp_path: Path) -> Iterator[Server]:
    """A MariaDB of one's own, since it is killed."""
    made = Server(tmp_path / "m")
    made.install(mariadb_template)
    made.start()
    made.do("CREATE DATABASE accounts")
    yield made
    made.stop()


def test_every_event_is_a_row(file: Address) -> None:
    table = AccountingTable(file)
    begun(table)
    table.take(1, LINES)
    table.close()

    assert asker(file)(f"SELECT {COLUMNS} FROM accounting") == ROWS
    [record] = asker(file)("SELECT record FROM accounting WHERE number = 1")
    assert '"name":"i7"' in str(record)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_every_event_is_a_row_in_mariadb_as_well(server: Server) -> None:
    table = AccountingTable(server.address("accounts"))
    begun(table)
    table.take(1, LINES)
    again = begun(table)
    table.close()

    found = asker(server.address("accounts"))(f"SELECT {COLUMNS} FROM accounting")
    assert found == ROWS
    assert again == Place(1, EventNumber(4))


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_database_that_dies_is_told_and_has_every_row_once_in_the_end(server: Server) -> None:
    address = server.address("accounts")
    table = AccountingTable(address)
    begun(table)
    table.take(1, LINES[:1])
    server.kill()
    with pytest.raises(StoreFailed, match="It cannot be used: "):
        table.take(1, LINES[1:])
    with pytest.raises(StoreFailed, match="It cannot be used: "):
        begun(table)
    server.start()

    place = begun(table)
    table.take(1, LINES[place.event :])
    table.close()

    assert asker(address)("SELECT number FROM accounting ORDER BY number") == [
        (number,) for number in range(1, 5)
    ]


def test_a_row_that_came_after_all_is_not_doubled(file: Address) -> None:
    late, table = AccountingTable(file), AccountingTable(file)
    begun(late)
    begun(table)
    late.take(1, LINES[:2])
    with pytest.raises(StoreFailed, match="It cannot be used: "):
        table.take(1, LINES[:1])

    place = begun(table)
    table.take(1, LINES[place.event :])
    table.close()
    late.close()

    assert asker(file)("SELECT COUNT(*), COUNT(DISTINCT number) FROM accounting") == [(4, 4)]


def test_a_database_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    nowhere = Address(kind=SQLITE, path=tmp_path / "none/accounting.db")

    with pytest.raises(StoreFailed, match="It cannot be used: "):
        begun(AccountingTable(nowhere))


def test_what_is_no_event_is_refused(file: Address) -> None:
    table = AccountingTable(file)
    begun(table)

    with pytest.raises(BadRequest, match="is not understood"):
        table.take(1, [b"{}"])
    table.close()
