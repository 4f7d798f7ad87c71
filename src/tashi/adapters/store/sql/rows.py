"""How records lie in tables, each way.

A record becomes a row of its kind's table and, for each thing it has several of, rows in the table
of that part. What fits where is read off the columns: a field of the record's wire form that has a
column of its name goes there, one that has a table of its own goes there, and the rest, unless it
has its default, goes as JSON into `more`. So no field is ever lost because it is new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from sqlalchemy import Table

from tashi.adapters.store.sql import tables
from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.instance import Instance
from tashi.domain.journal import Kind, Record
from tashi.wire.forms import (
    DiskForm,
    HostForm,
    InstanceForm,
    NetworkForm,
    NicForm,
    UserForm,
    to_form,
    to_record,
)
from tashi.wire.shape import Form

Row = dict[str, Any]
_encode: Final = msgspec.json.Encoder().encode


class _Fields:
    """The fields of one form: which of them have a column, and what the others are worth."""

    def __init__(self, form: type[Form], table: Table) -> None:
        named = {field.name: field for field in msgspec.structs.fields(form)}
        self._form = form
        self._columns = [
            (column.name, named[column.name].encode_name, _default(named[column.name]))
            for column in table.columns
            if column.name in named
        ]
        self._defaults = {field.encode_name: _default(field) for field in named.values()}

    def row(self, plain: Row) -> Row:
        """The columns of a form in its plain shape, which is used up."""
        row = {column: plain.pop(field, default) for column, field, default in self._columns}
        rest = {key: value for key, value in plain.items() if value != self._defaults[key]}
        row["more"] = _encode(rest).decode() if rest else None
        return row

    def plain(self, row: Mapping[str, Any]) -> Row:
        """The plain shape of a form whose columns are those."""
        plain = {field: row[column] for column, field, _ in self._columns}
        return {**plain, **(msgspec.json.decode(row["more"]) if row["more"] else {})}


def _default(field: msgspec.structs.FieldInfo) -> object:
    """What a field is worth where it is left out, in its plain shape."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    if field.default is msgspec.NODEFAULT:
        return msgspec.NODEFAULT
    return msgspec.to_builtins(field.default)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a record has several of: its attribute, its table and whose it is there."""

    attribute: str
    table: Table
    owner: str
    value: str = ""
    fields: _Fields | None = None

    def rows(self, key: int, plain: Any) -> list[Row]:
        """The rows for what the form of the record with that key holds here."""
        several = plain.items() if isinstance(plain, Mapping) else plain
        return [
            {self.owner: key, "place": place, **self._row(one)} for place, one in enumerate(several)
        ]

    def plain(self, rows: Sequence[Row]) -> Any:
        """What the form of a record holds here that has those rows."""
        if self.fields is not None:
            return [self.fields.plain(row) for row in rows]
        if self.value:
            return [row[self.value] for row in rows]
        return {row["name"]: row["value"] for row in rows}

    def _row(self, one: Any) -> Row:
        if self.fields is not None:
            return self.fields.row(one)
        return {self.value: one} if self.value else {"name": one[0], "value": one[1]}


@dataclass(frozen=True, slots=True)
class Shape:
    """How the records of one kind lie in tables."""

    kind: Kind
    record: type
    form: type[Form]
    table: Table
    fields: _Fields
    parts: tuple[Part, ...] = ()


def _shape(
    kind: Kind, record: type, form: type[Form], table: Table, *parts: Part
) -> tuple[Kind, Shape]:
    return kind, Shape(kind, record, form, table, _Fields(form, table), parts)


def _of_instance(attribute: str, table: Table, form: type[Form]) -> Part:
    return Part(attribute, table, "instance_id", fields=_Fields(form, table))


SHAPES: Final[dict[Kind, Shape]] = dict(
    (
        _shape(
            Kind.INSTANCE,
            Instance,
            InstanceForm,
            tables.INSTANCES,
            _of_instance("disks", tables.INSTANCE_DISKS, DiskForm),
            _of_instance("nics", tables.INSTANCE_NICS, NicForm),
            Part("hints", tables.INSTANCE_HINTS, "instance_id"),
            Part("leftovers", tables.INSTANCE_LEFTOVERS, "instance_id", value="host_id"),
        ),
        _shape(
            Kind.HOST,
            Host,
            HostForm,
            tables.HOSTS,
            Part("reserved", tables.HOST_RESERVATIONS, "host_id", value="user_id"),
        ),
        _shape(Kind.NETWORK, Network, NetworkForm, tables.NETWORKS),
        _shape(Kind.USER, User, UserForm, tables.USERS),
    )
)


@dataclass(frozen=True, slots=True)
class Rows:
    """A record as rows: its own, and those of its parts in the order of the shape's parts."""

    own: Row
    parts: tuple[list[Row], ...]


def form_of(shape: Shape, record: Record) -> Form:
    """The record in its wire form."""
    return to_form(record, shape.form)


def rows_of(shape: Shape, form: Form) -> Rows:
    """The rows of a record in its wire form."""
    plain = msgspec.to_builtins(form)
    key = plain["id"]
    parts = tuple(part.rows(key, plain.pop(part.attribute, ())) for part in shape.parts)
    return Rows(shape.fields.row(plain), parts)


def record_of(shape: Shape, own: Mapping[str, Any], parts: Iterable[Sequence[Row]]) -> Record:
    """The record that has those rows; raises BadRequest and msgspec's ValidationError."""
    plain = shape.fields.plain(own)
    for part, rows in zip(shape.parts, parts, strict=True):
        plain[part.attribute] = part.plain(rows)
    return cast("Record", to_record(msgspec.convert(plain, shape.form), shape.record))


def text_of(form: Form) -> str:
    """A record in its wire form as JSON."""
    return _encode(form).decode()


def record_in(shape: Shape, text: str) -> Record:
    """The record that a JSON text is; raises BadRequest and msgspec's errors."""
    return cast("Record", to_record(msgspec.json.decode(text, type=shape.form), shape.record))
