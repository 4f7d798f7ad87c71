"""Schema steps on a real MariaDB, where a statement that changes a table is for good at once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from adapters_store import upgrader
from contracts.commits import after, held, plain_commits
from databases import Server
from tashi.adapters.store.schema import SCHEMA, STEPS
from tashi.adapters.store.sql.address import Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.errors import Misconfigured

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ONE, TWO = plain_commits(2)


@pytest.fixture
def address(mariadb: Server) -> Iterator[Address]:
    mariadb.do("CREATE OR REPLACE DATABASE upgraded")
    address = mariadb.address("upgraded")
    with closing(SqlStore(address)) as store:
        store.load()
        store.commit(ONE)
    yield address
    mariadb.do("DROP DATABASE upgraded")


def noted(mariadb: Server) -> list[object]:
    return [number for (number,) in mariadb.do("SELECT number FROM upgraded.schema_steps")]


def test_the_steps_are_taken_once_and_the_books_stay(address: Address, mariadb: Server) -> None:
    newer = SqlStore(address, steps=upgrader.STEPS)
    with pytest.raises(Misconfigured, match="run tashi-admin upgradeDatabase"):
        newer.load()

    first, second = newer.upgrade(), newer.upgrade()

    assert (first, second) == ([step.words for step in upgrader.STEPS[len(STEPS) :]], [])
    assert noted(mariadb) == [SCHEMA, SCHEMA + 1, SCHEMA + 2]
    with closing(newer):
        assert held(newer.load()) == after([ONE])
        newer.commit(TWO)


@pytest.mark.parametrize("statements", range(1, 5))
def test_an_upgrade_that_is_killed_after_any_statement_goes_on(
    address: Address, mariadb: Server, statements: int
) -> None:
    killed = subprocess.run(
        [sys.executable, upgrader.__file__, str(address.socket), str(statements)], check=False
    )
    newer = SqlStore(address, steps=upgrader.STEPS)

    newer.upgrade()

    assert killed.returncode == -9
    assert noted(mariadb) == [SCHEMA, SCHEMA + 1, SCHEMA + 2]
    with closing(newer):
        assert held(newer.load()) == after([ONE])


def made(mariadb: Server) -> list[tuple[object, ...]]:
    return mariadb.do("SHOW CREATE TABLE upgraded.passwords")


def test_a_database_of_the_first_schema_gets_the_table_that_new_ones_have(
    address: Address, mariadb: Server
) -> None:
    new = made(mariadb)
    mariadb.do(
        "DROP TABLE upgraded.passwords",
        "ALTER DATABASE upgraded COLLATE utf8mb4_general_ci",
        "UPDATE upgraded.schema_steps SET number = 1",
    )

    SqlStore(address).upgrade()

    assert made(mariadb) == new
