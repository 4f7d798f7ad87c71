"""Acknowledged, durable `createVm` per second on each kind of store, beside the bare store.

Usage: bench/stores.py [--quick] [--output table|json] [--folder FOLDER]

A cluster manager runs as a process of its own with its books in a flat file, in SQLite or in a
private MariaDB, all on the same disk; without a scheduler, so that instances stay pending. 64
connections replay `createVm`, each with an id and a name of its own. At the end of each round the
cluster manager is killed with -9 and its books are read: every instance that was acknowledged must
be there, and no other.

The same in the same minute, in turns:

* `bare/s`: one row (one line, in the flat file) of the bytes that a creation takes, committed by
  one client after the other row, in the same server or on the same disk, with the same durability;
* `rpyc/s`: the same requests, sent back by rpyc's own ThreadedServer over as many connections.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from instruments import creations, daemons, mariadb, report, servers
from instruments.callers import Round, call_for
from instruments.turns import in_turns
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.ports.store import Store

if TYPE_CHECKING:
    from databases import Server

CLIENTS: Final = 64
TEXT: Final = 1000 * "x"
"""About what a creation takes: a record in its row, and once more in its event."""
SQL: Final = "tashi.clustermanager.data.SQL"
AIMS: Final = {"of bare": 1.2, "of rpyc": 0.4}
NOTES: Final = (
    "creates/s: acknowledged and durable; a commit: how many of them shared one on average",
    "bare/s: single rows (lines) of 1,000 bytes committed one after the other; aim: of bare >= 1.2",
    "rpyc/s: the same requests sent back by rpyc's ThreadedServer; aim: of rpyc >= 0.4",
    "cpu us, its cpu: microseconds of the processor for each call, the manager's and rpyc's",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of store: what a cluster manager is told of it, and how it is opened."""

    name: str
    books: creations.Sections
    opened: Callable[[], Store]
    commit: Callable[[float], float]
    """Bare commits a second, tried for so many seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of one kind measured."""

    created: Round
    per_commit: float
    bare: float
    echoed: Round


# -- the kinds


def in_a_file(folder: Path) -> Kind:
    """A journal in the folder."""
    file = folder / "cm.dat"
    return Kind(
        "flat file",
        {"Pickled": {"file": file}},
        lambda: FlatFile(file),
        lambda seconds: append(folder / "bare", seconds),
    )


def in_sqlite(folder: Path) -> Kind:
    """A file of SQLite in the folder."""
    path = folder / "books"
    return Kind(
        "SQLite",
        {"ClusterManager": {"data": SQL}, "SQL": {"uri": f"sqlite:///{path}"}},
        lambda: SqlStore(Address(kind=SQLITE, path=path)),
        lambda seconds: insert_into_sqlite(folder / "bare", seconds),
    )


def in_mariadb(server: "Server", name: str) -> Kind:
    """A new database of the server."""
    server.do(f"CREATE DATABASE {name}")
    uri = f"mysql://root@localhost/{name}"
    return Kind(
        "MariaDB",
        {"ClusterManager": {"data": SQL}, "SQL": {"uri": uri, "socket": server.socket}},
        lambda: SqlStore(server.address(name)),
        lambda seconds: mariadb.insert(server, TEXT, seconds),
    )


# -- the bare sides


def append(path: Path, seconds: float) -> float:
    """Lines a second that are appended and synced."""
    line = TEXT.encode()
    with path.open("ab", buffering=0) as file:

        def commit() -> None:
            file.write(line)
            os.fdatasync(file.fileno())

        return in_turns(commit, seconds)


def insert_into_sqlite(path: Path, seconds: float) -> float:
    """Rows a second that are committed in a write-ahead log that is synced."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, text TEXT)")
        row = (TEXT,)
        return in_turns(
            lambda: connection.execute("INSERT INTO bare (text) VALUES (?)", row), seconds
        )


def echo(seconds: float) -> Round:
    """Requests that rpyc's own server sends back."""
    with servers.running(servers.RPYC) as server:
        return call_for(seconds, server.port, creations.sources(CLIENTS), server=server.pid)


# -- the table


def measure(kind: Kind, folder: Path, seconds: float) -> Turn:
    """Let every side of one kind have its turn."""
    created = creations.create(folder, kind.books, CLIENTS, seconds)
    kept = creations.read_back(kind.opened, created)
    return Turn(
        created,
        created.calls / kept.number,
        bare=kind.commit(seconds / 2),
        echoed=echo(seconds / 2),
    )


def row(name: str, turns: list[Turn]) -> report.Row:
    """The figures of one kind, and their ratios to the bare sides'."""
    rate = report.median(turn.created.per_second for turn in turns)
    bare = report.median(turn.bare for turn in turns)
    echoed = report.median(turn.echoed.per_second for turn in turns)
    found: report.Row = {
        "store": name,
        "creates/s": round(rate),
        "median ms": report.median((turn.created.median_ms for turn in turns), 2),
        "p99 ms": report.median((turn.created.p99_ms for turn in turns), 2),
        "a commit": report.median(turn.per_commit for turn in turns),
        "cpu us": report.median(turn.created.cpu_us for turn in turns),
        "bare/s": round(bare),
        "of bare": round(rate / bare, 2),
        "rpyc/s": round(echoed),
        "of rpyc": round(rate / echoed, 2),
        "its cpu": report.median(turn.echoed.cpu_us for turn in turns),
    }
    return {**found, "aims": report.verdict(found, at_least=AIMS)}


def main() -> None:
    """Measure and print."""
    options = report.command_line(__doc__)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a disk")
    chosen = options.parse_args()
    rounds, seconds = (3, 1.5) if chosen.quick else (9, 4.0)
    turns: dict[str, list[Turn]] = {}
    with daemons.private_folder(chosen.folder) as folder, mariadb.running(folder / "m") as server:
        for number in range(rounds):
            here = [folder / f"{number}-{place}" for place in range(3)]
            kinds = (in_a_file(here[0]), in_sqlite(here[1]), in_mariadb(server, f"books_{number}"))
            for kind, place in zip(kinds, here, strict=True):
                turns.setdefault(kind.name, []).append(measure(kind, place, seconds))
    about: report.Row = {
        "books": f"on {daemons.file_system_of(chosen.folder)}, {chosen.folder}",
        "durability": "synced before the answer; all there after kill -9 of the manager",
        "clients": CLIENTS,
        "rounds": rounds,
        "seconds": seconds,
    }
    rows = [row(name, those) for name, those in turns.items()]
    report.Report("stores", about, rows, NOTES).show(chosen.output)


if __name__ == "__main__":
    main()
