"""The places where a store's state can lie, each with its way of going wrong.

A place outlives the stores that are opened on it, as a disk or a database does. A new kind of
store adds its place here, and the whole suite of the port runs over it.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

from databases import Proxy, Server
from fakes.faulty_store import Fault, FaultyStore
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.memory import MemoryStore
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.store.steps import SqlStep, Step
from tashi.ports.store import Store


def passing_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one example, in memory where that can be had: there it costs no disk's fsync."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


class Mishap(Enum):
    """What may happen to a commit."""

    FAILS = auto()
    HALF_HAPPENS = auto()
    UNKNOWN_KEPT = auto()
    UNKNOWN_LOST = auto()


class Place(Protocol):
    """Where a state lies."""

    def open(self) -> Store:
        """A store on the state, not yet loaded."""
        ...

    def crash(self, store: Store) -> None:
        """End the store as the death of its process would."""
        ...

    def strike(self, mishap: Mishap) -> None:
        """Let that happen to the next commit, once."""
        ...


class MemoryPlace:
    """The memory of this process, with faults put before it."""

    _faults: Final = {
        Mishap.FAILS: Fault.FAILS,
        Mishap.HALF_HAPPENS: Fault.FAILS,
        Mishap.UNKNOWN_KEPT: Fault.UNKNOWN_KEPT,
        Mishap.UNKNOWN_LOST: Fault.UNKNOWN_LOST,
    }

    def __init__(self, folder: Path) -> None:
        self._store = FaultyStore(MemoryStore())

    def open(self) -> Store:
        return self._store

    def crash(self, store: Store) -> None:
        """Nothing is in flight in memory."""

    def strike(self, mishap: Mishap) -> None:
        self._store.will(self._faults[mishap])


class FilePlace:
    """A flat file in a folder, written anew every few commits."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cm.dat"
        self._mishap: Mishap | None = None
        self._size = 0

    def open(self) -> Store:
        return FlatFile(self.path, on_step=self._on_step, least_growth=1000)

    def crash(self, store: Store) -> None:
        store.close()
        self.path.with_name("cm.dat.new").write_bytes(b'{"crc":"00')  # a snapshot under way

    def strike(self, mishap: Mishap) -> None:
        self._mishap = mishap

    def _on_step(self, step: Step) -> None:
        if step is Step.BEFORE_APPEND:
            self._size = self.path.stat().st_size
        match self._mishap, step:
            case Mishap.FAILS, Step.BEFORE_APPEND:
                self._fail(errno.ENOSPC)
            case Mishap.HALF_HAPPENS, Step.BEFORE_APPEND:
                with self.path.open("ab") as file:
                    file.write(b'{"crc":"0123abcd","is":"commit","num')
                self._fail(errno.ENOSPC)
            case Mishap.UNKNOWN_KEPT, Step.BEFORE_FSYNC:
                self._fail(errno.EIO)
            case Mishap.UNKNOWN_LOST, Step.BEFORE_FSYNC:
                os.truncate(self.path, self._size)
                self._fail(errno.EIO)

    def _fail(self, number: int) -> None:
        self._mishap = None
        raise OSError(number, os.strerror(number))


class SqlitePlace:
    """A file of SQLite in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "books.sqlite"
        self._mishap: Mishap | None = None

    def open(self) -> Store:
        return SqlStore(Address(kind=SQLITE, path=self.path), on_step=self._on_step)

    def crash(self, store: Store) -> None:
        store.close()

    def strike(self, mishap: Mishap) -> None:
        self._mishap = mishap

    def _on_step(self, step: SqlStep) -> None:
        if (self._mishap, step) in _SQL_MOMENTS:
            self._mishap = None
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class MariaPlace:
    """A database of a real server, behind a line that breaks as told; empty at first."""

    def __init__(self, server: Server, proxy: Proxy, folder: Path) -> None:
        self._address = server.address("books", port=proxy.port)
        self._proxy = proxy
        server.empty("books")

    def open(self) -> Store:
        return SqlStore(self._address)

    def crash(self, store: Store) -> None:
        store.close()

    def strike(self, mishap: Mishap) -> None:
        self._proxy.will(mishap.name)


_SQL_MOMENTS: Final = {
    (Mishap.FAILS, SqlStep.LEASE_WRITTEN),
    (Mishap.HALF_HAPPENS, SqlStep.ROWS_WRITTEN),
    (Mishap.UNKNOWN_KEPT, SqlStep.AFTER_COMMIT),
    (Mishap.UNKNOWN_LOST, SqlStep.BEFORE_COMMIT),
}

PLACES: Final[dict[str, Callable[[Path], Place]]] = {
    "memory": MemoryPlace,
    "flatfile": FilePlace,
    "sqlite": SqlitePlace,
}
