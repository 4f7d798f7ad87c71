"""Where a site keeps its books: what its cluster manager is told, and a way to look there.

`pytest --stores all` runs every scenario that asks for `books` with each kind of store. Without it
the flat file has all of them, and the others those that are marked `every_store`: between them they
meet each store with simulated and real guests, one host and several, plain and secure links, and
with death at each step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from databases import Server
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.store.steps import SqlStep, Step
from tashi.ports.store import Store

FLAT_FILE: Final = "tashi.clustermanager.data.Pickled"
SQL: Final = "tashi.clustermanager.data.SQL"

FILE_STEPS: Final = tuple(str(step) for step in Step if step is not Step.BEFORE_CUT)
SQL_STEPS: Final = tuple(str(step) for step in SqlStep)


@dataclass(frozen=True, slots=True)
class Books:
    """One place: `data` chooses it, `settings` say where it is, and `steps` are its commits'.

    `lose` lets all that is there be gone, while nobody uses it.
    """

    data: str
    settings: Mapping[str, dict[str, object]]
    steps: tuple[str, ...]
    opened: Callable[[], Store]
    lose: Callable[[], object]


Place = Callable[[Path], Books]
"""The books of the site in that folder."""


def in_a_file(folder: Path) -> Books:
    """The default."""
    file = folder / "cm.dat"
    return Books(
        FLAT_FILE, {"Pickled": {"file": file}}, FILE_STEPS, lambda: FlatFile(file), file.unlink
    )


def in_sqlite(folder: Path) -> Books:
    """A file of SQLite."""
    address = Address(kind=SQLITE, path=folder / "books")
    settings: dict[str, dict[str, object]] = {"SQL": {"uri": f"sqlite:///{address.path}"}}
    return Books(SQL, settings, SQL_STEPS, lambda: SqlStore(address), address.path.unlink)


def in_mariadb(server: Server, port: int | None = None) -> Place:
    """A new database of that server, reached by its socket or by a port in front of it."""

    def place(_folder: Path) -> Books:
        name = f"site_{uuid4().hex}"
        server.do(f"CREATE DATABASE {name}")
        settings: dict[str, object] = {"uri": f"mysql://root@127.0.0.1:{port}/{name}"}
        if port is None:
            settings = {"uri": f"mysql://root@localhost/{name}", "socket": str(server.socket)}
        return Books(
            SQL,
            {"SQL": settings},
            SQL_STEPS,
            lambda: SqlStore(server.address(name)),
            lambda: server.do(f"CREATE OR REPLACE DATABASE {name}"),
        )

    return place
