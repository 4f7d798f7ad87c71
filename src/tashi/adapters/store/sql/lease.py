"""The one row that says who owns the books, and which commit was the last.

Whoever owns them has written its token there, under an epoch that counts up with every claim. Every
transaction *writes* the row on the condition that epoch and number are as its owner knows them: a
mere look would be no protection, since under Galera only what is written is compared.
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Update, bindparam, select, update

from tashi.adapters.store.sql import tables
from tashi.domain.errors import Misconfigured, ReignLost
from tashi.domain.identity import CommitNumber
from tashi.domain.succession import Sighting

_LEASE: Final = tables.LEASE
_ADVANCE: Final[Update] = (
    update(_LEASE)
    .where(_LEASE.c.id == 1, _LEASE.c.epoch == bindparam("mine"))
    .where(_LEASE.c.commit_no == bindparam("last"))
    .values(commit_no=bindparam("new"))
)
_HOLD: Final[Update] = (
    update(_LEASE)
    .where(_LEASE.c.id == 1, _LEASE.c.token == bindparam("own"))
    .values(commit_no=_LEASE.c.commit_no + bindparam("by"))
)
_CLAIM: Final[Update] = (
    update(_LEASE)
    .where(_LEASE.c.id == 1, _LEASE.c.epoch == bindparam("seen"))
    .values(epoch=bindparam("mine"), token=bindparam("own"), holder=bindparam("words"))
)
_SUCCEED: Final[Update] = _CLAIM.where(_LEASE.c.commit_no == bindparam("last"))
_VACATE: Final[Update] = (
    update(_LEASE)
    .where(_LEASE.c.id == 1, _LEASE.c.token == bindparam("own"))
    .values(token="", holder="")
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The row as it stands; `holder` says where its owner is called, or who that is.

    Both are empty when nobody owns the books.
    """

    epoch: int
    commit_no: CommitNumber
    token: str
    holder: str

    def expect_own(self, token: str) -> None:
        """Raise ReignLost unless the row was written by who has that token."""
        if self.token != token:
            raise self.lost()

    def lost(self) -> ReignLost:
        """The error of a process that finds the row like this, and is not its owner any more."""
        return ReignLost(
            f"The books belong to another cluster manager now ({self.holder}): nothing more is "
            "written from here."
        )


def read_lease(connection: Connection) -> Lease:
    """The lease as it stands; raises Misconfigured when there is none."""
    table = _LEASE.c
    row = connection.execute(
        select(table.epoch, table.commit_no, table.token, table.holder)
    ).first()
    if row is None:
        raise Misconfigured("The books' table lease is empty: restore the books from a backup.")
    return Lease(row.epoch, CommitNumber(row.commit_no), row.token, row.holder)


def take_lease(connection: Connection, seen: Lease, token: str, holder: str) -> Lease:
    """Own the books from here on, in a transaction of its own; what the row then says.

    Raises ReignLost when somebody else has taken them since they were seen like that. Waits for
    whoever is in the middle of a transaction; what that one commits is in the row that is returned.
    """
    return _taken(connection, _CLAIM, _claimed(seen.epoch, token, holder))


def succeed(connection: Connection, seen: Sighting, token: str, holder: str) -> Lease:
    """Take the lease like that, but only if nothing was committed either since it was seen."""
    claimed = {**_claimed(seen.epoch, token, holder), "last": seen.commit}
    return _taken(connection, _SUCCEED, claimed)


def keep(connection: Connection, lease: Lease) -> Lease:
    """Go on owning the books, in the present transaction, under another epoch; what the row says.

    Raises ReignLost when somebody else has taken them since the lease was like that.
    """
    claimed = _claimed(lease.epoch, lease.token, lease.holder)
    if connection.execute(_CLAIM, claimed).rowcount != 1:
        raise read_lease(connection).lost()
    return replace(lease, epoch=lease.epoch + 1)


def vacate(connection: Connection, token: str) -> None:
    """Let nobody own the books, unless somebody else does by now."""
    connection.rollback()
    connection.execute(_VACATE, {"own": token})
    connection.commit()


def _claimed(epoch: int, token: str, holder: str) -> dict[str, object]:
    return {"seen": epoch, "mine": epoch + 1, "own": token, "words": holder}


def _taken(connection: Connection, claim: Update, values: dict[str, object]) -> Lease:
    connection.rollback()
    taken = connection.execute(claim, values).rowcount
    lease = read_lease(connection)
    if taken != 1:
        connection.rollback()
        raise lease.lost()
    connection.commit()
    return lease


def advance(connection: Connection, epoch: int, last: CommitNumber, new: CommitNumber) -> None:
    """Hold the lease's row until the transaction ends; raises ReignLost when it is not ours."""
    met = connection.execute(_ADVANCE, {"mine": epoch, "last": last, "new": new}).rowcount
    if met != 1:
        raise read_lease(connection).lost()


def hold(connection: Connection, token: str) -> None:
    """Let nobody else have the books until the transaction ends; raises ReignLost if they do.

    The row stays as it is, but it has been written, there and back: for Galera that counts.
    """
    for by in (1, -1):
        if connection.execute(_HOLD, {"own": token, "by": by}).rowcount != 1:
            raise read_lease(connection).lost()
