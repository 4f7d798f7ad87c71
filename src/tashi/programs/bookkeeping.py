"""The books as tashi-admin works with them: which place a URI means, and what is done there.

What wants the cluster manager stopped makes sure of it. A file says by its lock whether it is in
use. In a database that is shared only the lease tells: lists of connections are a server's own
where several are one cluster, and each user's own. So it is watched for longer than a standby
would.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tashi.adapters.store.backup import (
    expect_empty,
    expect_no_file,
    put_into,
    read_backup,
    write_backup,
)
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.address import printable
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.users.passwords import PasswordFile
from tashi.client.bookkeeping import Copied, Restored
from tashi.domain.errors import Misconfigured, Refused, ReignLost, TashiError
from tashi.domain.host import Host
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Kept
from tashi.domain.restoring import next_id, restored
from tashi.domain.succession import LEFT_SECONDS, Vigil
from tashi.ports.passwords import PasswordLines
from tashi.ports.store import Store
from tashi.programs.databases import described, named_database, passwords_beside, shared
from tashi.programs.directories import base_data
from tashi.programs.passwordlines import carry, password_file
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.parts import DATABASE
from tashi.settings.sections.stores import PickledSettings, SqlSettings

_FLAT_FILE: Final = "file:///"
_DATABASES: Final = ("sqlite://", "mysql", "mariadb")
_BY: Final = "restore"
_LOOK_SECONDS: Final = 0.5


class OurBookkeeper:
    """The books of this machine's cluster manager, and others that a URI names."""

    def __init__(self) -> None:
        self._settings = load(Program.CLUSTER_MANAGER, os.environ)

    def upgrade(self) -> Sequence[str]:
        """Take the steps of the schema that are due; a flat file is upgraded as it is read.

        A database without passwords takes those of the file that counted before.
        """
        _, store = self._configured()
        self._expect_nobody(store)
        if not isinstance(store, SqlStore):
            return []
        done = store.upgrade()
        file = password_file(self._settings)
        if file.all():
            with _owned(store):
                carried = carry(file, store.passwords())
            if carried:
                done.append(f"passwords taken over from {file}, which counts no longer: {carried}")
        return done

    def copy(self, source: str, to: str) -> Copied:
        """Let the empty place at one URI begin with what is kept at another."""
        origin, destination = self._at(source), self._at(to)
        if origin.look() == Kept():
            raise Refused(f"There are no books at {_shown(source)}: nothing was copied.")
        expect_empty(destination, _shown(to))
        self._expect_nobody(origin)
        with _owned(origin) as kept:
            return self._put(_shown(to), destination, kept, self._passwords_of(origin))

    def back_up(self, file: str) -> Copied:
        """Write what is kept into a new file."""
        name, store = self._configured()
        kept = store.look()
        if kept == Kept():
            raise Refused(f"There are no books in {name}: nothing was written.")
        path, beside = Path(file).absolute(), _passwords_beside(file)
        expect_no_file(path)
        expect_no_file(beside.path)
        carried = carry(self._passwords_of(store), beside)
        try:
            return _copied(file, kept, write_backup(path, kept), carried)
        except TashiError:
            beside.path.unlink(missing_ok=True)
            raise

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
        self._expect_nobody(store)
        kept = restored(copy, SystemClock().wall(), _BY, first)
        copied = self._put(name, store, kept, _passwords_beside(file))
        since = (
            datetime.fromtimestamp(copy.entries[-1].at, UTC).astimezone() if copy.entries else None
        )
        return Restored(copied, since, kept.counters.lost_from, first)

    def _configured(self) -> tuple[str, Store]:
        """The place that the cluster manager keeps its books in, with its name."""
        if base_data(self._settings) == DATABASE:
            address = named_database(self._settings)
            return str(address), SqlStore(address)
        file = self._settings.of(PickledSettings).file
        return str(file), FlatFile(file)

    def _put(self, name: str, store: Store, kept: Kept, passwords: PasswordLines) -> Copied:
        """Let an empty store begin with all that, and have those passwords beside it."""
        carried = 0

        def carry_first() -> None:
            nonlocal carried
            carried = carry(passwords, self._passwords_of(store))

        digest = put_into(store, name, kept, carry_first)
        return _copied(name, kept, digest, carried)

    def _passwords_of(self, store: Store) -> PasswordLines:
        """The passwords that go with the books in that store."""
        return passwords_beside(store) or password_file(self._settings)

    def _at(self, uri: str) -> Store:
        if uri.startswith(_FLAT_FILE):
            return FlatFile(Path("/", printable(unquote(uri.removeprefix(_FLAT_FILE)))))
        if not uri.startswith(_DATABASES):
            raise Misconfigured(
                f"{uri} is no place for books: write file:///path, sqlite:///path or "
                "mysql://user@host/database."
            )
        return SqlStore(described(uri, self._settings.of(SqlSettings)))

    def _expect_nobody(self, store: Store) -> None:
        """Raise Refused while somebody leads or stands by in a database on a server.

        Whoever leads moves the lease, and whoever stands by takes it: at once where nobody has it,
        else after `takeOverAfter`. A file has a lock instead, which `load` takes.
        """
        if not isinstance(store, SqlStore) or not store.is_shared:
            return
        after = self._settings.of(ClusterManagerSettings).take_over_after
        vigil, clock, never = Vigil(after + LEFT_SECONDS), SystemClock(), threading.Event()
        try:
            while not vigil.is_desertion:
                seen = store.sight(of_any_schema=True)
                if seen.holder and vigil.seen not in {None, seen}:
                    raise Refused(
                        f"The books are in use by the cluster manager at {seen.holder}: stop it "
                        "first, and all others that share them."
                    )
                vigil = vigil.see(seen, clock.monotonic())
                never.wait(_LOOK_SECONDS)
        finally:
            store.close()


@contextmanager
def _owned(store: Store) -> Iterator[Kept]:
    """What is kept, until the block ends; raises ReignLost then if another has it by now."""
    try:
        kept = store.load()
        succession = shared(store)
        owned = succession and succession.sight()
        yield kept
        if succession and succession.sight() != owned:
            raise ReignLost(
                "A cluster manager was started meanwhile and has taken the books: what was made of "
                "them is no copy any more."
            )
    finally:
        store.close()


def _passwords_beside(backup: str) -> PasswordFile:
    """The passwords that go with a backup."""
    return PasswordFile(Path(f"{backup}.passwords").absolute(), "--file")


def _copied(to: str, kept: Kept, digest: str, passwords: int) -> Copied:
    return Copied(
        to=to,
        instances=sum(isinstance(one, Instance) for one in kept.records),
        hosts=sum(isinstance(one, Host) for one in kept.records),
        events=len(kept.entries),
        digest=digest,
        passwords=passwords,
    )


def _shown(uri: str) -> str:
    """The URI without a password that is in it."""
    password = urlsplit(uri).password
    return uri if password is None else uri.replace(f":{password}@", "@", 1)
