"""What sessions at a server are told, tried where it makes a difference."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import closing, contextmanager

import pytest

from contracts.commits import a_commit, after, an_instance, held, plain_commits
from databases import Server, empty
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.errors import StoreFailed
from tashi.domain.identity import UserId
from tashi.domain.journal import Put

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

DATABASE = "sessions"
ONE, TWO = plain_commits(2)


@pytest.fixture
def lax(mariadb: Server) -> Iterator[Server]:
    """A server that mends what does not fit, for whoever does not forbid it."""
    empty(DATABASE, [mariadb])
    [(mode,)] = mariadb.do("SELECT @@GLOBAL.sql_mode")
    mariadb.do("SET GLOBAL sql_mode = ''")
    yield mariadb
    mariadb.do(f"SET GLOBAL sql_mode = '{mode}'")


def test_a_number_that_no_column_takes_is_not_mended_but_refused(lax: Server) -> None:
    misfit = an_instance(2, user_id=UserId(2**63))
    with closing(SqlStore(lax.address(DATABASE))) as store:
        store.load()
        store.commit(ONE)

        with pytest.raises(StoreFailed, match=r"column 'user_id'.*nothing of it happened"):
            store.commit(a_commit(2, Put(misfit)))

        store.commit(TWO)
        assert held(store.look()) == after([ONE, TWO])


@contextmanager
def behind(server: Server) -> Iterator[None]:
    """A node of Galera that takes up nothing of what the others commit until the block ends."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        yield


def test_a_node_of_galera_that_is_behind_is_waited_for_and_tells_nothing_old(
    galera_nodes: Sequence[Server],
) -> None:
    here, there = galera_nodes[0], galera_nodes[-1]
    empty(DATABASE, galera_nodes)
    standby = SqlStore(there.address(DATABASE, timeout=1.0))
    with closing(SqlStore(here.address(DATABASE))) as owner, closing(standby):
        owner.load()
        owner.commit(ONE)
        before = standby.sight()

        with ThreadPoolExecutor(1) as pool:
            with behind(there):
                owner.commit(TWO)
                with pytest.raises(StoreFailed):
                    standby.sight()
                looking = pool.submit(SqlStore(there.address(DATABASE)).look)
                answered, _ = wait_for([looking], timeout=1.0)
            seen = looking.result()

        assert not answered
        assert seen.number == TWO.number
        assert standby.sight().commit == before.commit + 1
