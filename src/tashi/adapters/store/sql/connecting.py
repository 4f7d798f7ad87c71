"""Connections to a database, each made ready: strict, and patient for so long and no longer.

MariaDB and MySQL: every session is told to refuse what does not fit instead of mending it, and not
to wait longer than the address's time limit for a lock, for a statement, or for us in the middle
of a transaction; that last wait is short whatever the time limit is. So a cluster manager that is
frozen there does not keep another from taking over. A server that knows no such limit ends any line
on which nothing is said for as long: a leader says something every second. A patient line is let be
there, for whoever has one may have nothing to say for hours.

SQLite: a write-ahead log with `synchronous = FULL`, that is, with an fsync of the log in every
commit; NORMAL leaves that out, and a power cut then takes the last commits with it. The log, not
the rollback journal, because it costs one fsync instead of three, and because administrators who
read do not hold up commits, nor are they held up. Such a file cannot be on a network file system.
"""

import os
import socket
import sqlite3
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import pymysql
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from tashi.adapters.store.sql import faults
from tashi.adapters.store.sql.address import SQLITE, Address

_PATIENT_SECONDS: Final = 120.0
_SILENT_SECONDS: Final = 4.0
_STRICT: Final = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"
_PRIVATE: Final = 0o600
_OF_SESSIONS: Final = (
    *("innodb_lock_wait_timeout", "lock_wait_timeout", "wait_timeout"),
    *("max_statement_time", "idle_write_transaction_timeout"),  # of MariaDB alone
)


def connected(address: Address, *, patient: bool = False) -> Connection:
    """A connection of its own; a patient one may take minutes to read everything.

    Raises what `faults` knows. Whoever gets it closes it.
    """
    seconds = _PATIENT_SECONDS if patient else address.timeout
    if address.kind == SQLITE:
        return _to_sqlite(address, seconds)
    return _to_mysql(address, seconds, patient=patient)


def let_go(connection: Connection) -> None:
    """Close the connection, whatever has become of it; what was not committed is undone by that."""
    with suppress(*faults.AWAY):
        connection.invalidate()  # and not asked to undo anything, which a lost server cannot
    with suppress(*faults.AWAY):
        connection.close()


def make_file(address: Address) -> None:
    """Let there be a file for a database of SQLite, for its owner's eyes only; raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(address.path, flags, _PRIVATE))


def make_durable(connection: Connection) -> None:
    """Have everything in SQLite's file itself, out of its log, and synced.

    After a failed fsync the kernel may show what is on no disk, so nothing is believed that is only
    in the log: it is copied, and so written once more, into the file, and the log begins anew.
    """
    driver: Any = connection.connection.driver_connection
    busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("somebody reads the file for too long")


# ---- MariaDB and MySQL --------------------------------------------------------------------------


def _to_mysql(address: Address, seconds: float, *, patient: bool) -> Connection:
    engine = create_engine(
        "mysql+pymysql://",
        creator=lambda: _pymysql(address, seconds),
        poolclass=NullPool,
        pool_reset_on_return=None,  # closing undoes as well; asking a lost server is a traceback
    )
    connection = engine.connect()
    try:
        _set_limits(connection, seconds, patient=patient)
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return connection


def _pymysql(address: Address, seconds: float) -> Any:
    if address.socket is not None:
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves one open that is refused
            probe.settimeout(address.timeout)
            probe.connect(str(address.socket))
    return pymysql.connect(
        user=address.user,
        password=address.password.encode(),
        host=address.host,
        port=address.port,
        unix_socket=str(address.socket) if address.socket else None,
        database=address.database,
        charset="utf8mb4",
        collation="utf8mb4_bin",
        connect_timeout=max(1, round(address.timeout)),
        read_timeout=seconds,
        write_timeout=seconds,
        client_flag=pymysql.constants.CLIENT.FOUND_ROWS,  # count what was met, not what differed
        program_name="tashi",
        **_tls(address),
    )


def _tls(address: Address) -> dict[str, Any]:
    """How the line is encrypted: as the files say, or, off this machine, if the server can."""
    tls = address.tls
    if tls == type(tls)():
        # To look for certificates costs 50 ms for every connection, and this one needs none.
        return {"ssl_disabled": True} if address.is_local else {}
    files = {"ssl_ca": tls.ca, "ssl_cert": tls.cert, "ssl_key": tls.key}
    proven = tls.ca is not None
    return {
        **{name: str(path) for name, path in files.items() if path is not None},
        "ssl_verify_cert": proven,
        "ssl_verify_identity": proven and address.socket is None,
    }


def _set_limits(connection: Connection, seconds: float, *, patient: bool) -> None:
    known = {
        name.lower()
        for name, _ in connection.exec_driver_sql(
            f"SHOW SESSION VARIABLES WHERE Variable_name IN {_OF_SESSIONS} "
            "OR (Variable_name = 'wsrep_on' AND Value = 'ON')"
        )
    }
    whole = max(1, round(seconds))
    silent = whole if patient else max(1, round(min(seconds, _SILENT_SECONDS)))
    limits = {
        "max_statement_time": whole,
        "idle_write_transaction_timeout": silent,
        "innodb_lock_wait_timeout": max(1, whole // 2),
        "lock_wait_timeout": max(1, whole // 2),
    }
    if "idle_write_transaction_timeout" not in known and not patient:
        limits["wait_timeout"] = silent
    settings = [f"{name} = {value}" for name, value in limits.items() if name in known]
    settings.append(f"sql_mode = '{_STRICT}'")
    if "wsrep_on" in known:
        settings.append("wsrep_sync_wait = 1")  # what another node of Galera took is seen here
    connection.exec_driver_sql(f"SET SESSION {', '.join(settings)}")
    connection.rollback()


# ---- SQLite -------------------------------------------------------------------------------------


def _to_sqlite(address: Address, seconds: float) -> Connection:
    engine = create_engine(
        "sqlite://", creator=lambda: _sqlite3(address, seconds), poolclass=NullPool
    )
    event.listen(engine, "begin", _begin)
    return engine.connect()


def _sqlite3(address: Address, seconds: float) -> sqlite3.Connection:
    made = sqlite3.connect(
        f"file:{quote(str(address.path))}?mode=rw",
        uri=True,
        timeout=seconds,
        isolation_level=None,  # `_begin` says when a transaction begins
        check_same_thread=False,
    )
    try:
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            made.execute(f"PRAGMA {setting}")
    except BaseException:
        made.close()
        raise
    return made


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
