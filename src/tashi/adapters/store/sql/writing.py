"""What a commit writes: its lines about the present records, the past, and the numbers.

Of several changes of one record in a commit only the last is written into its table; the events
have them all. A part of a record, such as its disks, is written anew only when it has changed.
Rows go to the database table by table, many with each statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Delete, Insert, Table, bindparam, delete
from sqlalchemy.dialects import mysql, sqlite

from tashi.adapters.store.sql import tables
from tashi.adapters.store.sql.rows import SHAPES, Row, Shape, form_of, rows_of, text_of
from tashi.domain.identity import EventNumber
from tashi.domain.journal import Answer, Change, Commit, Counters, Entry, Kept, Kind, Put, Record
from tashi.wire.bookkeeping import CountersForm
from tashi.wire.forms import to_form
from tashi.wire.shape import Form

Standing = dict[tuple[Kind, int], Record]
"""The records that are in the tables."""

_KEYS_AT_ONCE: Final = 500


@dataclass(slots=True)
class Batch:
    """Rows to write: those that go, by table, then those that come; and what is forgotten."""

    dropped: dict[Table, list[int]] = field(default_factory=lambda: defaultdict(list))
    renewed: dict[Table, list[int]] = field(default_factory=lambda: defaultdict(list))
    put: dict[Table, list[Row]] = field(default_factory=lambda: defaultdict(list))
    added: dict[Table, list[Row]] = field(default_factory=lambda: defaultdict(list))
    forget_before: EventNumber = EventNumber(0)
    forget_answers_before: EventNumber = EventNumber(0)


def batch_of(commit: Commit, standing: Standing, counters: Counters) -> Batch:
    """What a commit writes into tables that hold those records and counters."""
    batch = Batch(
        forget_before=commit.forget_before, forget_answers_before=commit.forget_answers_before
    )
    forms = [_form(entry.change) for entry in commit.entries]
    last = {
        (entry.change.kind, entry.change.key): (entry.change, form)
        for entry, form in zip(commit.entries, forms, strict=True)
    }
    for (kind, key), (change, form) in last.items():
        if isinstance(change, Put) and form is not None:
            _put(batch, SHAPES[kind], change.record, form, standing.get((kind, key)))
        elif (kind, key) in standing:
            batch.dropped[SHAPES[kind].table].append(key)
    for entry, form in zip(commit.entries, forms, strict=True):
        if entry.number >= commit.forget_before:
            batch.added[tables.EVENTS].append(_event_row(entry, form, commit.number))
    batch.added[tables.ANSWERS] += _answer_rows(commit.answers, commit.number)
    batch.put[tables.COUNTERS] += counter_rows(commit.counters, counters)
    return batch


def filling(kept: Kept) -> Batch:
    """What is written into empty tables that are to hold all that."""
    batch = Batch()
    for record in kept.records:
        shape = SHAPES[Put(record).kind]
        _put(batch, shape, record, form_of(shape, record), None)
    batch.added[tables.EVENTS] += [
        _event_row(entry, _form(entry.change), kept.number) for entry in kept.entries
    ]
    batch.added[tables.ANSWERS] += _answer_rows(kept.answers, kept.number)
    batch.put[tables.COUNTERS] += counter_rows(kept.counters, None)
    return batch


def write(connection: Connection, batch: Batch) -> None:
    """Have the batch in the present transaction."""
    for table, keys in batch.dropped.items():
        _delete(connection, table, table.c.id, keys)
    for table, keys in batch.renewed.items():
        _delete(connection, table, next(iter(table.primary_key)), keys)
    for table, rows in batch.put.items():
        _insert(connection, table, rows, replacing=True)
    for table, rows in batch.added.items():
        _insert(connection, table, rows)
    if batch.forget_before:
        connection.execute(_FORGET_EVENTS, {"before": batch.forget_before})
    if batch.forget_answers_before:
        connection.execute(_FORGET_ANSWERS, {"before": batch.forget_answers_before})


def _answer_rows(answers: Iterable[Answer], commit: int) -> list[Row]:
    """The rows of answers that were given in that commit."""
    return [
        {
            "commit_no": commit,
            "place": place,
            "request": answer.request,
            "text": answer.text,
            "event": answer.event,
        }
        for place, answer in enumerate(answers)
    ]


def counter_rows(counters: Counters, before: Counters | None) -> list[Row]:
    """The rows of the counters that differ from those before."""
    old = {} if before is None else _numbers(before)
    return [
        {"name": name, "value": value}
        for name, value in _numbers(counters).items()
        if old.get(name) != value
    ]


def _numbers(counters: Counters) -> dict[str, int]:
    numbers: dict[str, int] = msgspec.to_builtins(to_form(counters, CountersForm))
    return numbers


def _form(change: Change) -> Form | None:
    return form_of(SHAPES[change.kind], change.record) if isinstance(change, Put) else None


def _put(batch: Batch, shape: Shape, record: Record, form: Form, before: Record | None) -> None:
    rows = rows_of(shape, form)
    batch.put[shape.table].append(rows.own)
    for part, theirs in zip(shape.parts, rows.parts, strict=True):
        if before is not None:
            if getattr(before, part.attribute) == getattr(record, part.attribute):
                continue
            batch.renewed[part.table].append(record.id)
        batch.added[part.table] += theirs


def _event_row(entry: Entry, form: Form | None, commit: int) -> Row:
    return {
        "number": entry.number,
        "commit_no": commit,
        "at": entry.at,
        "line": entry.line,
        "caused_by": entry.by,
        "kind": entry.change.kind.value,
        "record_id": entry.change.key,
        "record": None if form is None else text_of(form),
    }


# ---- statements, each made once -----------------------------------------------------------------


def _forget(table: Table, column: str) -> Delete:
    return delete(table).where(table.c[column] < bindparam("before"))


_FORGET_EVENTS: Final = _forget(tables.EVENTS, "number")
_FORGET_ANSWERS: Final = _forget(tables.ANSWERS, "event")


def _insert(
    connection: Connection, table: Table, rows: Sequence[Row], *, replacing: bool = False
) -> None:
    """Add rows; when `replacing`, in the place of those of the same key."""
    if rows:
        connection.exec_driver_sql(_as_text(table, connection.dialect.name, replacing), rows)


@cache
def _as_text(table: Table, dialect: str, replacing: bool) -> str:
    """As the driver takes it: SQLAlchemy would go through every value of every row."""
    if dialect == "sqlite":
        statement = _upsert_of_sqlite(table) if replacing else table.insert()
        return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))
    statement = _upsert_of_mysql(table) if replacing else table.insert()
    return str(statement.compile(dialect=mysql.dialect(paramstyle="pyformat")))


def _upsert_of_sqlite(table: Table) -> Insert:
    made = sqlite.insert(table)
    others = {column.name: made.excluded[column.name] for column in _values(table)}
    return made.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)


def _upsert_of_mysql(table: Table) -> Insert:
    made = mysql.insert(table)
    return made.on_duplicate_key_update(
        {column.name: made.inserted[column.name] for column in _values(table)}
    )


def _values(table: Table) -> list[Any]:
    return [column for column in table.columns if not column.primary_key]


def _delete(connection: Connection, table: Table, column: Any, keys: Sequence[int]) -> None:
    statement = delete(table).where(column.in_(bindparam("keys", expanding=True)))
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        connection.execute(statement, {"keys": keys[start : start + _KEYS_AT_ONCE]})
