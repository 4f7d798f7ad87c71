"""The accounting daemon's table: one row for each event of all times, for whoever asks in SQL.

Rows are keyed by the event's place in the journal, and those of one call are one transaction. How
far it has got is what its last row says; so nothing is doubled, whatever became of a COMMIT.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, desc, insert, select

from tashi.adapters.store.sql import faults
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.connecting import connected, let_go, make_file
from tashi.adapters.store.sql.tables import ACCOUNTING, ACCOUNTING_METADATA
from tashi.domain.errors import BadRequest, StoreFailed
from tashi.domain.identity import EventNumber
from tashi.ports.outlets import BEGINNING, Place


class _Record(msgspec.Struct, rename="camel"):
    """What any kind of record may have that has a column."""

    name: str
    user_id: int | None = None
    host_id: int | None = None
    state: int | None = None
    cores: int | None = None
    memory: int | None = None


class _Event(msgspec.Struct):
    number: int
    at: float
    line: str
    by: str
    kind: str
    key: int
    instance: msgspec.Raw = msgspec.Raw()
    host: msgspec.Raw = msgspec.Raw()
    network: msgspec.Raw = msgspec.Raw()
    user: msgspec.Raw = msgspec.Raw()


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_record: Final = msgspec.json.Decoder(_Record).decode


class AccountingTable:
    """An outlet into the table `accounting` of that database, which is made if it is not there."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The table and its database."""
        return f"The table accounting in {self._address}"

    def place(self, newest: Callable[[], Place]) -> Place:
        """Behind which event it goes on: at first, the journal's beginning."""
        del newest
        self.close()
        try:
            if self._address.kind == SQLITE:
                make_file(self._address)
            self._connection = connected(self._address, patient=True)
            ACCOUNTING_METADATA.create_all(self._connection)
            columns = ACCOUNTING.c.volume, ACCOUNTING.c.number
            newest_first = select(*columns).order_by(*map(desc, columns))
            last = self._connection.execute(newest_first.limit(1)).first()
            self._connection.commit()
        except faults.AWAY as wrong:
            raise self._failed(wrong) from wrong
        return BEGINNING if last is None else Place(last.volume, EventNumber(last.number))

    def hear(self, line: bytes) -> None:
        """Nothing: each row stands for itself."""

    def take(self, volume: int, lines: Sequence[bytes]) -> None:
        """Write a row for each event."""
        rows = [{"volume": volume, **_row(line)} for line in lines]
        assert self._connection is not None, "It is asked for its place first."
        try:
            self._connection.execute(insert(ACCOUNTING), rows)
            self._connection.commit()
        except faults.AWAY as wrong:
            raise self._failed(wrong) from wrong

    def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        if self._connection is not None:
            let_go(self._connection)
            self._connection = None

    def _failed(self, wrong: Exception) -> StoreFailed:
        self.close()
        return StoreFailed(f"It cannot be used: {faults.why(wrong, self._address)}.")


def _row(line: bytes) -> dict[str, Any]:
    try:
        event = _decode_event(line)
        raw = bytes(event.instance or event.host or event.network or event.user)
        record = msgspec.structs.asdict(_decode_record(raw)) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadRequest(f"A line of the journal is not understood ({wrong}).") from wrong
    nothing = dict.fromkeys(_Record.__struct_fields__)
    return {
        **nothing,
        **record,
        "number": event.number,
        "at": event.at,
        "line": event.line,
        "caused_by": event.by,
        "kind": event.kind,
        "record_id": event.key,
        "record": raw.decode() if raw else None,
    }
