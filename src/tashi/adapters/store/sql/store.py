"""A store in a database, owned by who has its lease.

A commit is one transaction. Its first statement advances the commit number in the lease's row where
epoch and number are still ours; when no row is met, the reign is over, and nothing was written.
What can go wrong:

* Anything before COMMIT. The connection is closed, so the server undoes what it had of the
  transaction, and nothing happened. After a deadlock the same is tried again at once.
* COMMIT, or its answer, is lost. Then nobody can know, and worse: a server that was frozen may
  still take up the COMMIT that lies in its socket. So `settle` does not only read the lease, it
  takes it again under a new epoch. Whoever has the row ends first; what comes later meets the
  condition on the epoch, and Galera's certification, and is undone.
* Another process has taken the lease. This one ends (ReignLost), before it has given any order.

A database on a server is shared: any number of cluster managers may look at the lease (`sight`),
and one of them claims it when the others' rules allow it (`tashi.domain.succession`). Who ends in
order leaves it to nobody. A file of SQLite has its one owner by the file's lock.

While the database is away, a commit is refused at once; it is looked for again at most once a
second, so that callers hear the reason quickly.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from tashi.adapters.store.ownership import Claim, open_trusted, said_plainly
from tashi.adapters.store.schema import STEPS, SchemaStep
from tashi.adapters.store.sql import faults
from tashi.adapters.store.sql.address import SQLITE, Address
from tashi.adapters.store.sql.connecting import connected, let_go, make_durable, make_file
from tashi.adapters.store.sql.lease import Lease, advance, read_lease, succeed, take_lease, vacate
from tashi.adapters.store.sql.namedfile import NamedFile
from tashi.adapters.store.sql.passwords import SqlPasswords
from tashi.adapters.store.sql.reading import read_books
from tashi.adapters.store.sql.upgrading import (
    NO_SCHEMA,
    make_ready,
    refuse_other_schemas,
    schema_of,
    upgrade,
)
from tashi.adapters.store.sql.writing import Batch, Standing, batch_of, filling, write
from tashi.adapters.store.steps import OnSqlStep, SqlStep, unheard
from tashi.domain.errors import Broken, Misconfigured, OutcomeUnknown, ReignLost, StoreFailed
from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Commit, Counters, Kept, Put
from tashi.domain.succession import Sighting

_SETTING: Final = "[SQL] uri"
_DEADLOCKS: Final = 10
_PAUSE_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Reign:
    """What is ours while we own the books, what is in the tables, and what may be there too."""

    epoch: int
    number: CommitNumber
    counters: Counters
    standing: Standing = field(default_factory=dict)
    doubtful: Commit | None = None

    def take(self, commit: Commit) -> None:
        """The commit is durable."""
        self.number, self.counters = commit.number, commit.counters
        for entry in commit.entries:
            change = entry.change
            if isinstance(change, Put):
                self.standing[change.kind, change.key] = change.record
            else:
                self.standing.pop((change.kind, change.key), None)


class SqlStore:
    """A store in the database at that address; `on_step` hears of every step of a commit.

    `holder` says to administrators and standbys who has the lease: where that one is called.
    `steps` lead to the present schema.
    """

    def __init__(
        self,
        address: Address,
        *,
        on_step: OnSqlStep = unheard,
        holder: str = "",
        steps: Sequence[SchemaStep] = STEPS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._on_step = on_step
        self._holder = holder or f"process {os.getpid()} on {socket.gethostname()}"
        self._steps = steps
        self._clock = clock
        self._token = secrets.token_hex(16)
        self._claim: Claim | None = None
        self._file: NamedFile | None = None
        self._claimed: Lease | None = None
        self._reign: _Reign | None = None
        self._connection: Connection | None = None
        self._away_until = 0.0
        self._away_because: str | None = None

    # ---- the port -------------------------------------------------------------------------------

    def load(self) -> Kept:
        """All that is kept; raises Refused, Misconfigured, StoreFailed, and ReignLost.

        Who has claimed the lease was let in a moment ago, so that nothing is Misconfigured then:
        it ends with StoreFailed, and begins anew.
        """
        claimed, self._claimed = self._claimed, None
        self.close()
        try:
            self._claim_file()
            with self._reading() as connection:
                make_ready(connection, self._address, self._steps)
                seen = claimed or read_lease(connection)
                taken = take_lease(connection, seen, self._token, self._holder)
                kept = read_books(connection)
                # Not a guard: who takes the lease from here on is met by our first commit. It saves
                # loading all that in vain where the lease went before the snapshot was begun.
                read_lease(connection).expect_own(self._token)
        except BaseException as wrong:
            self.close()
            if claimed is not None and isinstance(wrong, Misconfigured):
                raise StoreFailed(wrong.message) from wrong
            raise
        self._reign = _Reign(taken.epoch, kept.number, kept.counters, _standing(kept))
        return kept

    def look(self) -> Kept:
        """What is kept at this moment, claiming nothing; raises Misconfigured, StoreFailed."""
        if self._address.kind == SQLITE and not self._address.path.exists():
            return Kept()
        with self._reading() as connection:
            schema = schema_of(connection, self._address)
            if schema == NO_SCHEMA:
                return Kept()
            refuse_other_schemas(schema, self._address, self._steps)
            connection.rollback()  # so that a snapshot of all tables begins with the next statement
            return read_books(connection)

    def commit(self, commit: Commit) -> None:
        """Make the commit durable; raises StoreFailed, OutcomeUnknown, ReignLost, Broken."""
        reign = self._settled_reign()
        self.tend()
        if commit.number != reign.number + 1:
            raise Broken(f"Commit {commit.number} cannot follow commit {reign.number}.")
        batch = batch_of(commit, reign.standing, reign.counters)
        for _ in range(_DEADLOCKS):
            if self._transact(reign, commit, batch):
                return reign.take(commit)
        raise self._nothing_happened("it met deadlocks again and again")

    def fill(self, kept: Kept) -> None:
        """Begin with all that; raises Broken unless the store is loaded and empty, StoreFailed."""
        reign = self._settled_reign()
        if reign.number or reign.standing:
            raise Broken(f"{self._address} holds books already, and takes no others.")
        try:
            with self._reading() as connection:
                advance(connection, reign.epoch, reign.number, kept.number)
                write(connection, filling(kept))
                connection.commit()
        except Misconfigured as wrong:
            raise StoreFailed(wrong.message) from wrong
        except faults.UNFIT as wrong:
            raise self._nothing_happened(_unfit(wrong)) from wrong
        reign.number, reign.counters, reign.standing = kept.number, kept.counters, _standing(kept)

    def upgrade(self) -> list[str]:
        """Take the steps that lead to the present schema, owning the books meanwhile; their words.

        Raises Refused while another process owns the file, Misconfigured, StoreFailed, and
        ReignLost when another has taken the books.
        """
        self.close()
        try:
            self._claim_file()
            with self._reading() as connection:
                schema = schema_of(connection, self._address)
                if schema in {NO_SCHEMA, 1 + len(self._steps)}:
                    return []
                if schema > len(self._steps):
                    refuse_other_schemas(schema, self._address, self._steps)
                lease = take_lease(connection, read_lease(connection), self._token, self._holder)
                done = upgrade(connection, lease, schema, self._steps)
                vacate(connection, self._token)
                return done
        finally:
            self.close()

    def settle(self) -> CommitNumber:
        """The last durable commit; raises StoreFailed while nobody can tell, and ReignLost."""
        reign = self._owned_reign()
        if reign.doubtful is not None:
            self._leave()
            connection = self._ready()
            try:
                if self._address.kind == SQLITE:
                    make_durable(connection)
                seen = read_lease(connection)
                seen.expect_own(self._token)
                taken = take_lease(connection, seen, self._token, self._holder)
            except faults.AWAY as wrong:
                self._leave()
                raise self._away(wrong) from wrong
            reign.epoch = taken.epoch
            if taken.commit_no == reign.doubtful.number:
                reign.take(reign.doubtful)
            reign.doubtful = None
        return reign.number

    def tend(self) -> None:
        """Have SQLite's file there again if it was removed; a database looks after itself."""
        if self._file is not None and self._reign is not None:
            self._file.see_to(self._ready, self._leave)

    def close(self) -> None:
        """Give up ownership, so that another may have it at once; harmless when repeated."""
        if self._reign is not None and self.is_shared:
            with suppress(StoreFailed, *faults.AWAY):
                vacate(self._ready(), self._token)
        self._leave()
        if self._claim is not None:
            self._claim.give_up()
        self._claim = None
        self._reign = None

    def passwords(self) -> SqlPasswords:
        """The passwords in the same database, which are changed only while we own the books."""
        return SqlPasswords(self._address, self._token)

    # ---- the succession -------------------------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Whether several cluster managers may look at the lease, and one follow the other."""
        return self._address.kind != SQLITE

    def sight(self, *, of_any_schema: bool = False) -> Sighting:
        """The lease as it stands; raises Misconfigured, StoreFailed."""
        try:
            if self._connection is None:
                self._connection = connected(self._address)
            schema = schema_of(self._connection, self._address)
            if schema == NO_SCHEMA:
                self._connection.rollback()
                return Sighting()
            if not of_any_schema:
                refuse_other_schemas(schema, self._address, self._steps)
            seen = read_lease(self._connection)
            self._connection.rollback()
        except faults.AWAY as wrong:
            self._leave()
            raise faults.at_start(wrong, self._address) from wrong
        return Sighting(seen.epoch, seen.commit_no, seen.holder)

    def claim(self, seen: Sighting) -> None:
        """Own the books if the lease is as it was seen; raises ReignLost, StoreFailed."""
        if not seen.epoch:
            with self._reading() as connection:
                make_ready(connection, self._address, self._steps)
        for left in reversed(range(_DEADLOCKS)):
            try:
                self._claimed = succeed(self._ready(), seen, self._token, self._holder)
                break
            except faults.AWAY as wrong:
                self._leave()
                if not left or not faults.is_deadlock(wrong):  # of Galera, as another claims it
                    raise faults.at_start(wrong, self._address) from wrong

    # ---- owning ---------------------------------------------------------------------------------

    def _claim_file(self) -> None:
        if self._address.kind != SQLITE:
            return
        path = self._address.path
        with said_plainly(path, _SETTING):
            self._claim = Claim(path, _SETTING)
            found = open_trusted(path, _SETTING)
            if found is None:
                make_file(self._address)
            else:
                found.close()
            self._file = NamedFile(self._address)

    def _owned_reign(self) -> _Reign:
        if self._reign is None:
            raise Broken(f"{self._address} is not loaded.")
        return self._reign

    def _settled_reign(self) -> _Reign:
        reign = self._owned_reign()
        if reign.doubtful is not None:
            raise Broken(f"{self._address} takes no commit before the last one is settled.")
        return reign

    # ---- one transaction ------------------------------------------------------------------------

    def _transact(self, reign: _Reign, commit: Commit, batch: Batch) -> bool:
        """Write and commit; False when a deadlock has undone it, so that it may be tried again."""
        connection = self._ready()
        try:
            advance(connection, reign.epoch, reign.number, commit.number)
            self._on_step(SqlStep.LEASE_WRITTEN)
            write(connection, batch)
            self._on_step(SqlStep.ROWS_WRITTEN)
        except ReignLost:
            self._leave()
            raise
        except faults.AWAY as wrong:
            self._leave()
            if faults.is_deadlock(wrong):
                return False
            raise self._nothing_happened(faults.why(wrong, self._address)) from wrong
        except faults.UNFIT as wrong:
            self._leave()
            raise self._nothing_happened(_unfit(wrong)) from wrong
        return self._make_durable(reign, commit, connection)

    def _make_durable(self, reign: _Reign, commit: Commit, connection: Connection) -> bool:
        try:
            self._on_step(SqlStep.BEFORE_COMMIT)
            connection.commit()
            self._on_step(SqlStep.AFTER_COMMIT)
        except faults.AWAY as wrong:
            self._leave()
            if faults.is_deadlock(wrong):
                return False
            reign.doubtful = commit
            raise OutcomeUnknown(
                f"The change was written to {self._address}, but whether it was committed is not "
                f"known ({faults.why(wrong, self._address)})."
            ) from wrong
        return True

    def _nothing_happened(self, why: str) -> StoreFailed:
        return StoreFailed(
            f"The change could not be written to {self._address} ({why}); nothing of it happened."
        )

    # ---- connections ----------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection that may take its time, closed with the block; raises what ends a start."""
        try:
            connection = connected(self._address, patient=True)
            try:
                yield connection
            finally:
                let_go(connection)
        except faults.AWAY as wrong:
            raise faults.at_start(wrong, self._address) from wrong

    def _ready(self) -> Connection:
        """The connection for commits, made anew where it was lost; raises StoreFailed."""
        if self._connection is None:
            if self._away_because is not None and self._clock() < self._away_until:
                raise StoreFailed(self._away_because)
            try:
                self._connection = connected(self._address)
            except faults.AWAY as wrong:
                raise self._away(wrong) from wrong
        return self._connection

    def _away(self, wrong: Exception) -> StoreFailed:
        """Note that the database is away, so that callers hear it at once for a moment."""
        self._away_until = self._clock() + _PAUSE_SECONDS
        self._away_because = (
            f"{str(self._address).capitalize()} is away ({faults.why(wrong, self._address)}); "
            "nothing is changed until it is back."
        )
        return StoreFailed(self._away_because)

    def _leave(self) -> None:
        """Close the connection; what was not committed is undone by that."""
        if self._connection is not None:
            let_go(self._connection)
        self._connection = None


def _unfit(wrong: Exception) -> str:
    return f"a value does not fit into its column: {wrong}"


def _standing(kept: Kept) -> Standing:
    return {(Put(one).kind, int(one.id)): one for one in kept.records}
