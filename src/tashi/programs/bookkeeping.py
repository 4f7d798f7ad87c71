"""The books as tashi-admin works with them: which place a URI means, and what is done there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tashi.adapters.store.backup import expect_empty, put_into, read_backup, write_backup
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.system.clock import SystemClock
from tashi.client.bookkeeping import Copied, Restored
from tashi.domain.errors import Misconfigured, Refused
from tashi.domain.host import Host
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Kept
from tashi.domain.restoring import next_id, restored
from tashi.ports.store import Store
from tashi.programs.databases import described, named_database
from tashi.programs.directories import base_data
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.parts import DATABASE
from tashi.settings.sections.stores import PickledSettings, SqlSettings

_FLAT_FILE: Final = "file:///"
_DATABASES: Final = ("sqlite://", "mysql", "mariadb")
_BY: Final = "restore"


class OurBookkeeper:
    """The books of this machine's cluster manager, and others that a URI names."""

    def __init__(self) -> None:
        self._settings = load(Program.CLUSTER_MANAGER, os.environ)

    def upgrade(self) -> Sequence[str]:
        """Take the steps of the schema that are due; a flat file is upgraded as it is read."""
        _, store = self._configured()
        return _alone(store).upgrade() if isinstance(store, SqlStore) else []

    def copy(self, source: str, to: str) -> Copied:
        """Let the empty place at one URI begin with what is kept at another."""
        origin, destination = self._at(source), self._at(to)
        if origin.look() == Kept():
            raise Refused(f"There are no books at {_shown(source)}: nothing was copied.")
        expect_empty(destination, _shown(to))
        with _owned(origin) as kept:
            return _copied(_shown(to), kept, put_into(destination, _shown(to), kept))

    def back_up(self, file: str) -> Copied:
        """Write what is kept into a new file."""
        name, store = self._configured()
        kept = store.look()
        if kept == Kept():
            raise Refused(f"There are no books in {name}: nothing was written.")
        return _copied(file, kept, write_backup(Path(file).absolute(), kept))

    def restore(self, file: str, next_instance: int | None) -> Restored:
        """Let the empty place that is configured begin with what is in a backup."""
        copy = read_backup(Path(file).absolute())
        first = next_id(copy.counters) if next_instance is None else InstanceId(next_instance)
        if first < copy.counters.instance:
            raise Refused(
                f"--nextInstance {first} would be given out again: the backup itself goes on at "
                f"{copy.counters.instance}."
            )
        name, store = self._configured()
        if isinstance(store, SqlStore):
            store = _alone(store)
        kept = restored(copy, SystemClock().wall(), _BY, first)
        digest = put_into(store, name, kept)
        since = (
            datetime.fromtimestamp(copy.entries[-1].at, UTC).astimezone() if copy.entries else None
        )
        return Restored(_copied(name, kept, digest), since, kept.counters.lost_from, first)

    def _configured(self) -> tuple[str, Store]:
        """The place that the cluster manager keeps its books in, with its name."""
        if base_data(self._settings) == DATABASE:
            address = named_database(self._settings)
            return str(address), SqlStore(address)
        file = self._settings.of(PickledSettings).file
        return str(file), FlatFile(file)

    def _at(self, uri: str) -> Store:
        if uri.startswith(_FLAT_FILE):
            return FlatFile(Path("/", unquote(uri.removeprefix(_FLAT_FILE))))
        if not uri.startswith(_DATABASES):
            raise Misconfigured(
                f"{uri} is no place for books: write file:///path, sqlite:///path or "
                "mysql://user@host/database."
            )
        return SqlStore(described(uri, self._settings.of(SqlSettings)))


@contextmanager
def _owned(store: Store) -> Iterator[Kept]:
    """What is kept, which nobody can change until the block ends."""
    try:
        yield (_alone(store) if isinstance(store, SqlStore) else store).load()
    finally:
        store.close()


def _alone(store: SqlStore) -> SqlStore:
    """The store itself; raises Refused while others use its database."""
    store.expect_nobody()
    return store


def _copied(to: str, kept: Kept, digest: str) -> Copied:
    return Copied(
        to=to,
        instances=sum(isinstance(one, Instance) for one in kept.records),
        hosts=sum(isinstance(one, Host) for one in kept.records),
        events=len(kept.entries),
        digest=digest,
    )


def _shown(uri: str) -> str:
    """The URI without a password that is in it."""
    password = urlsplit(uri).password
    return uri if password is None else uri.replace(f":{password}@", "@", 1)
