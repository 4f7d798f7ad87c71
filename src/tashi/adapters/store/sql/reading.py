"""What a start reads: every table once, and records made of the rows.

All is read in one transaction, so it is how the books stood at one moment. Rows that make no record
are somebody else's doing, and nothing is guessed: the books are refused with the place.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, select

from tashi.adapters.store.sql import tables
from tashi.adapters.store.sql.lease import read_lease
from tashi.adapters.store.sql.rows import SHAPES, Part, Row, Shape, record_in, record_of
from tashi.domain.errors import BadRequest, Misconfigured
from tashi.domain.identity import EventNumber
from tashi.domain.journal import (
    Answer,
    Counters,
    Drop,
    Entry,
    Kept,
    Kind,
    Put,
    Record,
)
from tashi.wire.bookkeeping import CountersForm
from tashi.wire.forms import to_record

_IMPOSSIBLE: Final = (msgspec.DecodeError, BadRequest, ValueError)


def read_books(connection: Connection) -> Kept:
    """Everything, in the present transaction; raises Misconfigured."""
    lease = read_lease(connection)
    return Kept(
        number=lease.commit_no,
        records=tuple(
            record for shape in SHAPES.values() for record in _records(connection, shape)
        ),
        entries=tuple(_entries(connection)),
        answers=tuple(_answers(connection)),
        counters=_counters(connection),
    )


def _records(connection: Connection, shape: Shape) -> Iterator[Record]:
    parts = [_parts(connection, part) for part in shape.parts]
    for row in _rows(connection, shape.table):
        try:
            yield record_of(shape, row, [rows[row["id"]] for rows in parts])
        except _IMPOSSIBLE as wrong:
            raise _damaged(shape.table, "id", row["id"], wrong) from wrong


def _parts(connection: Connection, part: Part) -> dict[int, list[Row]]:
    owned: dict[int, list[Row]] = defaultdict(list)
    for row in _rows(connection, part.table):
        owned[row[part.owner]].append(row)
    return owned


def _entries(connection: Connection) -> Iterator[Entry]:
    for row in _rows(connection, tables.EVENTS):
        try:
            yield _entry(row)
        except _IMPOSSIBLE as wrong:
            raise _damaged(tables.EVENTS, "number", row["number"], wrong) from wrong


def _entry(row: Row) -> Entry:
    kind = Kind(row["kind"])
    text = row["record"]
    change = Drop(kind, row["record_id"]) if text is None else Put(record_in(SHAPES[kind], text))
    number = EventNumber(row["number"])
    return Entry(number, row["at"], row["line"], row["caused_by"], change)


def _answers(connection: Connection) -> Iterator[Answer]:
    for row in _rows(connection, tables.ANSWERS):
        yield Answer(row["request"], row["text"], EventNumber(row["event"]))


def _counters(connection: Connection) -> Counters:
    numbers = {row["name"]: row["value"] for row in _rows(connection, tables.COUNTERS)}
    try:
        return to_record(msgspec.convert(numbers, CountersForm), Counters)
    except _IMPOSSIBLE as wrong:
        raise Misconfigured(
            f"The books' table counters is damaged ({wrong}): restore the books from a backup."
        ) from wrong


def _rows(connection: Connection, table: Table) -> Iterator[Row]:
    """The rows in the order of their keys, as plain dictionaries."""
    found = connection.execute(select(table).order_by(*table.primary_key))
    for row in found.mappings():
        yield dict(row)


def _damaged(table: Table, column: str, key: Any, wrong: Exception) -> Misconfigured:
    return Misconfigured(
        f"The books' table {table.name} is damaged where {column} is {key}: "
        f"{str(wrong).rstrip('.')}. Nothing was changed. Restore the books from a backup."
    )
