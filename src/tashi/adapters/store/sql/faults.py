"""What databases say when something is wrong, in one sentence with the remedy where there is one.

The numbers are those of MariaDB's and MySQL's error codes; SQLite's errors go by their name.
Whether a fault is to be mended in a file, or waited for, is decided here too.
"""

import errno
import sqlite3
from typing import Final

import pymysql.err
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.domain.errors import Misconfigured, StoreFailed, TashiError

AWAY: Final = (SQLAlchemyError, pymysql.err.Error, sqlite3.Error, OSError)
"""All that a database's library raises."""

UNFIT: Final = (OverflowError, ValueError, TypeError)
"""What the libraries raise, unwrapped, for a value that no column takes."""

_DEADLOCK: Final = 1213
_OVERTAKEN: Final = {
    _DEADLOCK,
    1050,  # the table is there
    1061,  # the index is there
    1062,  # the row is there
    1412,  # the table was made after this transaction began
}
_MEND: Final = {
    1044: "the user {user} may not use that database: GRANT ALL ON {database}.* TO that user",
    1045: "the name or the password is wrong: see uri and password in [SQL]",
    1049: "there is no such database: CREATE DATABASE {database}, or name another in [SQL] uri",
    1102: "there can be no database of that name: name another in [SQL] uri",
    1142: "the user {user} may not do that there: GRANT ALL ON {database}.* TO that user",
    1130: "the server lets nobody in from this machine: CREATE USER for this host there",
    1227: "the user {user} may not do that there: GRANT ALL ON {database}.* TO that user",
    1251: "the server asks for a way to log in that is not known here: change the user's plugin",
    1524: "the user's way to log in is not known there: change the user's plugin",
    1698: "the name or the password is wrong: see uri and password in [SQL]",
}
_WAIT: Final = {
    1021: "its disk is full",
    1037: "it is out of memory",
    1040: "it has too many connections already: raise max_connections there",
    1041: "it is out of memory",
    1047: "it is cut off from the rest of its Galera cluster",
    1053: "it is shutting down",
    1114: "its disk is full, or a table may not grow",
    1153: "a change is larger than its max_allowed_packet",
    1180: "it could not commit",
    1205: "another connection holds a lock there for too long",
    _DEADLOCK: "it met deadlocks again and again",
    1290: "it is read-only",
    1317: "somebody ended the statement",
    1792: "it is read-only",
    1836: "it is read-only",
    1927: "it ended the connection",
    1969: "a statement took longer than its time limit",
    2002: "it cannot be reached",
    2003: "it cannot be reached",
    2005: "its name is not known",
    2006: "the connection was lost",
    2013: "the connection was lost, or it answers too slowly",
    2026: "the encrypted connection failed: see tlsCa, tlsCert and tlsKey in [SQL]",
    4031: "it ended the connection",
}
_SQLITE_WAIT: Final = {
    "SQLITE_FULL": "its disk is full",
    "SQLITE_IOERR": "its disk has an error",
    "SQLITE_BUSY": "another program holds a lock on it for too long",
    "SQLITE_LOCKED": "another program holds a lock on it for too long",
}
_SQLITE_MEND: Final = {
    "SQLITE_READONLY": "it cannot be written: this process's user must be able to write it and its "
    "folder",
    "SQLITE_CANTOPEN": "it cannot be opened: make its folder, or name another file in [SQL] uri",
    "SQLITE_NOTADB": "it is no database of SQLite: name another file in [SQL] uri",
    "SQLITE_CORRUPT": "it is damaged: restore it from a backup",
    "SQLITE_PERM": "this process's user must be able to read and write it and its folder",
}


def is_deadlock(wrong: Exception) -> bool:
    """Whether the database has undone a transaction that may at once be tried again."""
    return _number_of(wrong) == _DEADLOCK


def is_overtaken(wrong: Exception) -> bool:
    """Whether somebody else was quicker to make what was to be made here."""
    return _number_of(wrong) in _OVERTAKEN


def why(wrong: Exception, address: Address) -> str:
    """Half a sentence that says what is wrong with the database."""
    names = {"user": address.user, "database": address.database}
    number, name = _number_of(wrong), _name_of(wrong)
    known = _MEND.get(number) or _WAIT.get(number) or _by_name(_SQLITE_MEND | _SQLITE_WAIT, name)
    return known.format(**names) if known else _own_words(wrong)


def at_start(wrong: Exception, address: Address) -> TashiError:
    """The error to end a start with."""
    words = f"The {_kind(address)} {address} cannot be used: {why(wrong, address)}."
    mend = _number_of(wrong) in _MEND or _by_name(_SQLITE_MEND, _name_of(wrong))
    return Misconfigured(words) if mend else StoreFailed(words)


def _kind(address: Address) -> str:
    return "file" if address.kind == SQLITE else "books'"


def _by_name(table: dict[str, str], name: str) -> str:
    return next((words for start, words in table.items() if name.startswith(start)), "")


def _cause(wrong: Exception) -> BaseException:
    return wrong.orig if isinstance(wrong, DBAPIError) and wrong.orig is not None else wrong


def _number_of(wrong: Exception) -> int:
    cause = _cause(wrong)
    if isinstance(cause, pymysql.err.Error) and cause.args and isinstance(cause.args[0], int):
        return cause.args[0]
    return 0


def _name_of(wrong: Exception) -> str:
    cause = _cause(wrong)
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return "SQLITE_FULL"
    return getattr(cause, "sqlite_errorname", "")


def _own_words(wrong: Exception) -> str:
    cause = _cause(wrong)
    words = cause.args[-1] if cause.args else type(cause).__name__
    if isinstance(cause, OSError) and cause.strerror:
        words = cause.strerror
    number = _number_of(wrong)
    plain = " ".join(str(words).split()).rstrip(".")
    return f"{plain} (error {number})" if number else plain
