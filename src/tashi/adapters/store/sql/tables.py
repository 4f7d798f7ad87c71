"""The tables, for administrators to query and for nobody else to write.

`instances`, `hosts`, `networks` and `users` hold the present records, `instance_disks`,
`instance_nics`, `instance_hints`, `instance_leftovers` and `host_reservations` what a record has
several of; `place` keeps their order. `events` is the recent past, with the record that each event
is about as JSON; `answers` is what requests were answered; `counters` are the numbers that are
given out next. `instance_states` names the numbers in `instances.state`. `lease` is one row: who
owns the books, and the last commit. `schema_steps` says which steps of the schema are done.
`passwords` has what scrypt makes of Tashi's own passwords, as JSON; it is no part of the books.

A column `more` holds, as JSON, the fields of a record that have no column of their own: those that
nobody would query by, and those that a later version of Tashi adds before a step of the schema
gives them one. Text has no limit that a commit could fail on, and capital letters count.

`accounting` is no part of the books: the accounting daemon's events of all times, in whatever
database it is given.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.types import DateTime, String

METADATA: Final = MetaData()
ACCOUNTING_METADATA: Final = MetaData()

_NUMBER: Final = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_REAL: Final[Double[float]] = Double()
_AS_TABLE: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_PREFIX: Final = {"name": 100}


def _number(name: str) -> Column[int]:
    return Column(name, _NUMBER, nullable=False)


def _optional_number(name: str) -> Column[int]:
    return Column(name, _NUMBER)


def _text(name: str) -> Column[str]:
    return Column(name, _TEXT, nullable=False)


def _optional_text(name: str) -> Column[str]:
    return Column(name, _TEXT)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _key(name: str) -> Column[int]:
    return Column(name, _NUMBER, primary_key=True, autoincrement=False)


def _more() -> Column[str]:
    return Column("more", _TEXT)


def _table(name: str, *parts: Column[Any] | Index) -> Table:
    return Table(name, METADATA, *parts, **_AS_TABLE)


def _of(table: str, name: str) -> Column[int]:
    """The first half of a part's key: whose part it is; it goes with its owner."""
    owner = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(name, _NUMBER, owner, primary_key=True, autoincrement=False)


INSTANCES: Final = _table(
    "instances",
    _key("id"),
    _text("name"),
    _number("user_id"),
    _number("cores"),
    _number("memory"),
    _text("group_name"),
    _text("cdrom"),
    _text("on_exit"),
    _text("on_loss"),
    _number("state"),
    _optional_number("host_id"),
    _optional_number("target_id"),
    _optional_number("vm_id"),
    _number("attempt"),
    _number("operation"),
    _optional_number("was"),
    _optional_text("saved"),
    _optional_number("disks_on"),
    _optional_text("stored"),
    _text("incoming"),
    _flag("keep"),
    _number("tries"),
    _text("reason"),
    Column("changed_at", _REAL, nullable=False),
    _more(),
    Index("instances_by_name", "name", mysql_length=_PREFIX),
    Index("instances_by_user", "user_id"),
    Index("instances_by_host", "host_id"),
    Index("instances_by_state", "state"),
)
INSTANCE_DISKS: Final = _table(
    "instance_disks",
    _of("instances", "instance_id"),
    _key("place"),
    _text("uri"),
    _flag("persistent"),
    _number("port"),
    _more(),
    Index("instance_disks_by_uri", "uri", mysql_length={"uri": 200}),
)
INSTANCE_NICS: Final = _table(
    "instance_nics",
    _of("instances", "instance_id"),
    _key("place"),
    _number("network"),
    _text("mac"),
    _optional_text("ip"),
    _number("port"),
    _more(),
    Index("instance_nics_by_mac", "mac", mysql_length={"mac": 20}),
    Index("instance_nics_by_ip", "ip", mysql_length={"ip": 40}),
)
INSTANCE_HINTS: Final = _table(
    "instance_hints",
    _of("instances", "instance_id"),
    _key("place"),
    _text("name"),
    _text("value"),
)
INSTANCE_LEFTOVERS: Final = _table(
    "instance_leftovers",
    _of("instances", "instance_id"),
    _key("place"),
    _number("host_id"),
)
INSTANCE_STATES: Final = _table("instance_states", _key("number"), _text("name"))
HOSTS: Final = _table(
    "hosts",
    _key("id"),
    _text("name"),
    _flag("up"),
    _number("state"),
    _number("memory"),
    _number("cores"),
    _text("version"),
    _text("notes"),
    _text("address"),
    _number("port"),
    _text("boot_id"),
    _number("session"),
    _flag("draining"),
    _text("migration_address"),
    _more(),
    Index("hosts_by_name", "name", mysql_length=_PREFIX),
)
HOST_RESERVATIONS: Final = _table(
    "host_reservations",
    _of("hosts", "host_id"),
    _key("place"),
    _number("user_id"),
)
NETWORKS: Final = _table("networks", _key("id"), _text("name"), _more())
USERS: Final = _table(
    "users",
    _key("id"),
    _text("name"),
    _more(),
    Index("users_by_name", "name", mysql_length=_PREFIX),
)
EVENTS: Final = _table(
    "events",
    _key("number"),
    _number("commit_no"),
    Column("at", _REAL, nullable=False),
    _text("line"),
    _text("caused_by"),
    Column("kind", String(32), nullable=False),
    _number("record_id"),
    _optional_text("record"),
    Index("events_by_record", "kind", "record_id"),
)
ANSWERS: Final = _table(
    "answers",
    _key("commit_no"),
    _key("place"),
    _text("request"),
    _text("text"),
    _number("event"),
    Index("answers_by_event", "event"),
)
COUNTERS: Final = _table("counters", Column("name", String(64), primary_key=True), _number("value"))
LEASE: Final = _table(
    "lease",
    _key("id"),
    _number("epoch"),
    _number("commit_no"),
    _text("token"),
    _text("holder"),
)
PASSWORDS: Final = _table("passwords", _key("id"), _text("name"), _text("scrypt"))
SCHEMA_STEPS: Final = _table(
    "schema_steps",
    _key("number"),
    _text("words"),
    Column("done_at", DateTime, server_default=func.now(), nullable=False),
)
ACCOUNTING: Final = Table(
    "accounting",
    ACCOUNTING_METADATA,
    _key("volume"),
    _key("number"),
    Column("at", _REAL, nullable=False),
    _text("line"),
    _text("caused_by"),
    Column("kind", String(32), nullable=False),
    _number("record_id"),
    _optional_text("name"),
    _optional_number("user_id"),
    _optional_number("host_id"),
    _optional_number("state"),
    _optional_number("cores"),
    _optional_number("memory"),
    _optional_text("record"),
    Index("accounting_by_time", "at"),
    Index("accounting_by_record", "kind", "record_id"),
    **_AS_TABLE,
)
