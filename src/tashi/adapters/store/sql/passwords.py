"""Lines of passwords in the database of the books, for whoever owns these.

A change is a transaction of its own that holds the row of the lease: so an old leader changes
nothing once another has the books, and a password that was changed is changed for whoever leads
next. What is asked is read anew each time. Every call has a connection of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Delete, Select, bindparam, delete, insert, or_, select

from tashi.adapters.store.sql import faults
from tashi.adapters.store.sql.address import Address
from tashi.adapters.store.sql.connecting import connected, let_go
from tashi.adapters.store.sql.lease import hold
from tashi.adapters.store.sql.tables import PASSWORDS
from tashi.domain.catalogue import User
from tashi.domain.errors import PasswordsFailed, TashiError
from tashi.domain.identity import UserId
from tashi.domain.passwords import Hashed, PasswordLine

_ALL: Final = select(PASSWORDS)
_OF: Final = _ALL.where(PASSWORDS.c.id == bindparam("number"))
_DROP: Final[Delete] = delete(PASSWORDS).where(PASSWORDS.c.id == bindparam("number"))
_REPLACED: Final[Delete] = delete(PASSWORDS).where(
    or_(PASSWORDS.c.id == bindparam("number"), PASSWORDS.c.name == bindparam("called"))
)
_DEADLOCKS: Final = 10

_decode: Final = msgspec.json.Decoder(Hashed).decode


class SqlPasswords:
    """Keeps the port `PasswordLines`; safe to use from several threads.

    `token` is that of the store that owns the books.
    """

    def __init__(self, address: Address, token: str) -> None:
        self._address = address
        self._token = token

    def all(self) -> tuple[PasswordLine, ...]:
        """Every line."""
        return self._read(_ALL)

    def find(self, user: User) -> Hashed | None:
        """What is kept of that user's password."""
        found = self._read(_OF, number=user.id)
        return next((line.password for line in found if line.user == user), None)

    def put(self, line: PasswordLine) -> None:
        """Keep the line in the place of those with its number or its name."""

        def act(connection: Connection) -> None:
            connection.execute(_REPLACED, {"number": line.id, "called": line.name})
            connection.execute(insert(PASSWORDS), _row(line))

        self._change(act)

    def drop(self, user: User) -> None:
        """Keep nothing for that number."""
        self._change(lambda connection: connection.execute(_DROP, {"number": user.id}))

    def begin_with(self, lines: Sequence[PasswordLine]) -> None:
        """Keep all these where there are none."""

        def act(connection: Connection) -> None:
            if connection.execute(_ALL).first() is not None:
                raise PasswordsFailed(f"There are passwords in {self._address} already.")
            if lines:
                connection.execute(insert(PASSWORDS), [_row(line) for line in lines])

        self._change(act)

    def _read(self, what: Select[Any], **values: object) -> tuple[PasswordLine, ...]:
        try:
            with _connected(self._address) as connection:
                return tuple(map(_line_in, connection.execute(what, values)))
        except faults.AWAY as wrong:
            raise self._failed("read", wrong) from wrong
        except msgspec.DecodeError as wrong:
            raise PasswordsFailed(
                f"The table passwords in {self._address} cannot be understood: {wrong}."
            ) from wrong

    def _change(self, act: Callable[[Connection], object]) -> None:
        for left in reversed(range(_DEADLOCKS)):
            try:
                self._transact(act)
            except faults.AWAY as wrong:
                if not left or not faults.is_deadlock(wrong):
                    raise self._failed("changed", wrong) from wrong
            else:
                return

    def _transact(self, act: Callable[[Connection], object]) -> None:
        with _connected(self._address) as connection:
            try:
                hold(connection, self._token)
                act(connection)
            except TashiError as wrong:
                raise PasswordsFailed(wrong.message) from wrong
            try:
                connection.commit()
            except faults.AWAY as wrong:
                if faults.is_deadlock(wrong):
                    raise
                raise PasswordsFailed(
                    f"A password was changed in {self._address}, but whether that was committed is "
                    f"not known ({faults.why(wrong, self._address)}): set it again."
                ) from wrong

    def _failed(self, verb: str, wrong: Exception) -> PasswordsFailed:
        return PasswordsFailed(
            f"The passwords in {self._address} cannot be {verb}: "
            f"{faults.why(wrong, self._address)}."
        )


@contextmanager
def _connected(address: Address) -> Iterator[Connection]:
    """A connection of its own, closed with the block."""
    connection = connected(address)
    try:
        yield connection
    finally:
        let_go(connection)


def _row(line: PasswordLine) -> dict[str, object]:
    return {
        "id": line.id,
        "name": line.name,
        "scrypt": msgspec.json.encode(line.password).decode(),
    }


def _line_in(row: Any) -> PasswordLine:
    return PasswordLine(UserId(row.id), row.name, _decode(row.scrypt))
