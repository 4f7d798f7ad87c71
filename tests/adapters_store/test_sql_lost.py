"""A connection to a database that was lost: the library that is used has nothing to say of it."""

import pytest

from databases import Server
from tashi.adapters.store.sql.connecting import connected


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_lost_connection_is_let_go_of_without_a_word(
    mariadb: Server, caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.do("CREATE OR REPLACE DATABASE lost")
    connection = connected(mariadb.address("lost"))
    number = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
    connection.rollback()
    mariadb.do(f"KILL {number}")

    connection.close()

    assert caplog.messages == []
