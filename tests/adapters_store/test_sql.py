"""What the databases have in common beyond the promises of every store, tried on SQLite."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.commits import a_commit, after, an_instance, held, plain_commits
from tashi.adapters.store.schema import SCHEMA, STEPS, SchemaStep
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.engine import Engine, Hardware
from tashi.domain.errors import Misconfigured, Refused, ReignLost, StoreFailed, TashiError
from tashi.domain.host import Host
from tashi.domain.identity import CommitNumber, HostId, NetworkId, UserId
from tashi.domain.instance import Devices, Disk
from tashi.domain.journal import Drop, Kept, Kind, Put
from tashi.domain.states import InstanceState

ONE, TWO, THREE = plain_commits(3)
STEP = SchemaStep("a note", lambda line: line, ("CREATE TABLE IF NOT EXISTS notes (a INTEGER)",))


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return Address(kind=SQLITE, path=tmp_path / "books", timeout=0.2)


@pytest.fixture
def store(address: Address) -> Iterator[SqlStore]:
    with closing(SqlStore(address)) as opened:
        opened.load()
        yield opened


def asked(address: Address, query: str) -> list[tuple[object, ...]]:
    """What an administrator is answered who asks the file."""
    with closing(sqlite3.connect(address.path)) as connection, connection:
        return connection.execute(query).fetchall()


def test_an_administrator_finds_records_and_their_parts_in_tables(
    address: Address, store: SqlStore
) -> None:
    running = an_instance(7, state=InstanceState.RUNNING, host_id=HostId(3))
    host = Host(id=HostId(3), name="node3", reserved=(UserId(5), UserId(4)))

    store.commit(a_commit(1, Put(host), Put(running)))

    query = """
        SELECT i.name, s.name, h.name, d.uri, n.mac, k.value FROM instances i
        JOIN instance_states s ON s.number = i.state JOIN hosts h ON h.id = i.host_id
        JOIN instance_disks d ON d.instance_id = i.id JOIN instance_nics n ON n.instance_id = i.id
        JOIN instance_hints k ON k.instance_id = i.id WHERE d.persistent
    """
    assert asked(address, query) == [
        ("web", "Running", "node3", "own.qcow2", "52:54:00:00:00:07", "node1")
    ]
    kept_for = asked(address, "SELECT user_id FROM host_reservations ORDER BY place")
    assert kept_for == [(5,), (4,)]
    assert asked(address, "SELECT name, value FROM counters WHERE name = 'event'") == [("event", 3)]
    assert asked(address, "SELECT epoch, commit_no FROM lease") == [(1, 1)]


def test_fields_without_a_column_are_kept_as_well(address: Address, store: SqlStore) -> None:
    wanted = Devices((Disk("extra.qcow2", port=1),), cdrom="rescue.iso")
    instance = an_instance(
        1, wanted=wanted, hardware=Hardware(machine="pc", cpu="host", accel="kvm", qemu="7.2")
    )
    engine = Engine(qemu="7.2", accel="tcg", machines=("pc",))
    nowhere = Host(id=HostId(1), name="a", networks=(), engine=engine)
    anywhere = replace(nowhere, id=HostId(2), networks=None)
    some = replace(nowhere, id=HostId(3), networks=(NetworkId(1), NetworkId(999)))
    history = [a_commit(1, Put(instance), Put(nowhere), Put(anywhere), Put(some))]

    store.commit(history[0])

    assert held(SqlStore(address).look()) == after(history)


def test_what_a_record_loses_is_gone_from_the_tables(address: Address, store: SqlStore) -> None:
    store.commit(a_commit(1, Put(an_instance(1)), Put(an_instance(2))))

    store.commit(
        a_commit(2, Put(an_instance(1, disks=(), hints={})), Drop(Kind.INSTANCE, 2), first=3)
    )

    for part in ("disks", "hints"):
        assert asked(address, f"SELECT * FROM instance_{part}") == []
    assert asked(address, "SELECT instance_id FROM instance_nics") == [(1,)]


def test_the_file_is_for_its_owner_only(address: Address, store: SqlStore) -> None:
    store.commit(ONE)

    files = list(address.path.parent.glob("books*"))

    assert len(files) > 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_every_commit_is_synced(store: SqlStore) -> None:
    store.commit(ONE)

    connection = store._connection
    assert connection is not None
    assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_second_owner_of_a_file_is_refused(address: Address, store: SqlStore) -> None:
    with pytest.raises(Refused, match=r"in use by another cluster manager .* \[SQL\] uri"):
        SqlStore(address).load()

    store.commit(ONE)


@pytest.mark.parametrize(("claims", "error"), [(True, StoreFailed), (False, Misconfigured)])
def test_what_is_wrong_right_after_a_claim_is_no_reason_to_end_for_good(
    address: Address, store: SqlStore, claims: bool, error: type[TashiError]
) -> None:
    store.commit(ONE)
    store.close()
    with closing(SqlStore(address)) as heir:
        if claims:
            heir.claim(heir.sight())
        asked(address, "INSERT INTO schema_steps (number, words) VALUES (99, 'of later days')")

        with pytest.raises(error, match="newer"):
            heir.load()


def test_a_reign_that_another_has_ended_writes_nothing_more(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    asked(address, "UPDATE lease SET epoch = epoch + 1, token = 'x', holder = 'process 1 on b'")

    with pytest.raises(ReignLost, match=r"another cluster manager now \(process 1 on b\)"):
        store.commit(TWO)

    assert held(SqlStore(address).look()) == after([ONE])


def test_a_number_that_no_column_takes_is_not_written_and_hinders_nothing_else(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    too_large = Put(an_instance(2, "web-2", user_id=UserId(2**63)))

    with pytest.raises(StoreFailed, match=r"does not fit into its column.*nothing of it happened"):
        store.commit(a_commit(2, too_large))

    store.commit(TWO)
    assert held(SqlStore(address).look()) == after([ONE, TWO])


def test_books_with_a_number_that_no_column_takes_are_not_filled_in(address: Address) -> None:
    record = an_instance(2, "web-2", user_id=UserId(2**63))
    books = Kept(number=CommitNumber(1), records=(record,))

    with closing(SqlStore(address)) as store:
        store.load()
        with pytest.raises(StoreFailed, match=r"does not fit into its column.*nothing of it hap"):
            store.fill(books)

    assert SqlStore(address).look().records == ()


def test_a_file_that_cannot_grow_takes_nothing_until_it_can(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    connection = store._connection
    assert connection is not None
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    connection.rollback()
    large = Put(an_instance(2, "web-2", reason="x" * 100_000))

    with pytest.raises(StoreFailed, match=r"its disk is full\); nothing of it happened"):
        store.commit(a_commit(2, large))

    store.commit(TWO)
    assert held(SqlStore(address).look()) == after([ONE, TWO])


def test_somebody_who_locks_the_file_is_waited_for_only_so_long(
    address: Address, store: SqlStore
) -> None:
    with closing(sqlite3.connect(address.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreFailed, match="another program holds a lock on it for too long"):
            store.commit(ONE)

    store.commit(ONE)


# ---- the schema ---------------------------------------------------------------------------------


def test_a_start_is_refused_while_a_step_of_the_schema_is_due(
    address: Address, store: SqlStore
) -> None:
    store.close()

    with pytest.raises(Misconfigured, match=rf"of schema {SCHEMA}, .* tashi-admin upgradeDatabase"):
        SqlStore(address, steps=(*STEPS, STEP)).load()


def test_the_steps_that_are_due_are_taken_once_and_the_books_stay(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    store.close()
    newer = SqlStore(address, steps=(*STEPS, STEP))

    first, second = newer.upgrade(), newer.upgrade()

    assert (first, second) == (["a note"], [])
    assert held(newer.load()) == after([ONE])
    newer.close()
    assert asked(address, "SELECT number, words FROM schema_steps")[1:] == [(SCHEMA + 1, "a note")]
    assert asked(address, "SELECT * FROM notes") == []


def test_an_upgrade_that_was_cut_off_goes_on(address: Address, store: SqlStore) -> None:
    store.close()
    broken = replace(STEP, statements=(*STEP.statements, "CREATE nonsense"))
    with pytest.raises(StoreFailed):
        SqlStore(address, steps=(*STEPS, broken)).upgrade()

    assert SqlStore(address, steps=(*STEPS, STEP)).upgrade() == ["a note"]


def test_an_upgrade_owns_the_books_meanwhile_and_leaves_them_to_nobody(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    store.close()

    SqlStore(address, steps=(*STEPS, STEP, replace(STEP, words="another"))).upgrade()

    assert asked(address, "SELECT epoch, commit_no, token, holder FROM lease") == [(4, 1, "", "")]


def test_a_step_that_another_has_overtaken_is_not_noted(address: Address, store: SqlStore) -> None:
    store.close()
    taking = "UPDATE lease SET epoch = epoch + 1, token = 'x', holder = 'b:9882'"
    overtaken = replace(STEP, statements=(*STEP.statements, taking))

    with pytest.raises(ReignLost, match="b:9882"):
        SqlStore(address, steps=(*STEPS, overtaken)).upgrade()

    numbers = asked(address, "SELECT max(number) FROM schema_steps")
    assert numbers == [(SCHEMA,)]


def test_books_of_a_newer_schema_are_refused(address: Address, store: SqlStore) -> None:
    store.close()
    SqlStore(address, steps=(*STEPS, STEP)).upgrade()

    with pytest.raises(Misconfigured, match="written by a newer Tashi"):
        SqlStore(address).load()


def test_tables_of_something_else_are_left_alone(address: Address) -> None:
    asked(address, "CREATE TABLE instances (id INTEGER)")
    address.path.chmod(0o600)

    with pytest.raises(Misconfigured, match="holds tables of something else"):
        SqlStore(address).load()

    assert asked(address, "SELECT name FROM sqlite_master") == [("instances",)]


def test_tables_that_were_not_all_made_are_made_by_the_next_start(
    address: Address, store: SqlStore
) -> None:
    store.close()
    asked(address, "DELETE FROM schema_steps")
    asked(address, "DROP TABLE instance_nics")

    again = SqlStore(address)

    assert again.load() == Kept()
    again.commit(ONE)
    again.close()
    assert SqlStore(address).look().number == CommitNumber(1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE instances SET state = 99", "table instances is damaged where id is 1"),
        ("UPDATE events SET record = '{'", "table events is damaged where number is 1"),
        ("DELETE FROM lease", "table lease is empty"),
        ("UPDATE counters SET name = 'x' WHERE name = 'host'", "table counters is damaged"),
    ],
)
def test_rows_that_make_no_record_are_refused_with_their_place(
    address: Address, store: SqlStore, damage: str, words: str
) -> None:
    store.commit(ONE)
    store.close()
    asked(address, damage)

    with pytest.raises(Misconfigured, match=words):
        SqlStore(address).load()


def test_a_file_that_is_no_database_is_named(address: Address) -> None:
    address.path.write_bytes(b"something else altogether, " * 100)
    address.path.chmod(0o600)

    with pytest.raises(Misconfigured, match="it is no database of SQLite"):
        SqlStore(address).load()


def test_a_file_that_is_removed_in_use_is_written_anew(
    address: Address, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit(ONE)
    address.path.unlink()
    store.commit(TWO)

    assert held(SqlStore(address).look()) == after([ONE, TWO])

    address.path.unlink()
    store.tend()
    store.tend()
    store.close()

    with closing(SqlStore(address)) as again:
        assert held(again.load()) == after([ONE, TWO])
    assert caplog.text.count(f"{address.path} was removed") == 2
    assert stat.S_IMODE(address.path.stat().st_mode) == 0o600


def test_nothing_is_written_once_another_file_has_the_name(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    address.path.rename(address.path.with_name("mine"))
    address.path.write_text("another owner's")

    with pytest.raises(StoreFailed, match="another file in the place"):
        store.commit(TWO)

    with pytest.raises(StoreFailed, match="another file in the place"):
        store.tend()
    assert address.path.read_text() == "another owner's"


def test_a_file_that_is_removed_and_cannot_be_written_anew_takes_nothing(
    address: Address, store: SqlStore
) -> None:
    store.commit(ONE)
    address.path.unlink()
    address.path.with_name("books.new").mkdir()

    with pytest.raises(StoreFailed, match="was removed, and cannot be written anew"):
        store.commit(TWO)

    address.path.with_name("books.new").rmdir()
    store.commit(TWO)
    assert held(SqlStore(address).look()) == after([ONE, TWO])
