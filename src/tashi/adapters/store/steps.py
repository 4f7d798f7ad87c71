"""The moments of a store between which its process may die, by name.

Whoever makes the store may listen to them. The tests do, and kill the process there: that is how
it is known that every one of these moments leaves a file that loads. A listener that raises an
OSError makes the step that it was told of fail with it.
"""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """What is about to be done, or has just been done."""

    BEFORE_APPEND = "before-append"
    """A commit's line is complete, and nothing of it is written."""

    BEFORE_FSYNC = "before-fsync"
    """The line is written; whether it survives a crash of the machine is open."""

    AFTER_FSYNC = "after-fsync"
    """The line is durable; nobody knows yet."""

    BEFORE_CUT = "before-cut"
    """A line was written in part, and the file still ends with that part."""

    SNAPSHOT_BEGUN = "snapshot-begun"
    """A fresh file is there beside the journal, with nothing in it."""

    SNAPSHOT_WRITTEN = "snapshot-written"
    """The fresh file is durable, but for the commits made while it was written."""

    BEFORE_SWAP = "before-swap"
    """The fresh file is complete and durable, and the old one is still in its place."""

    SWAPPED = "snapshot-swapped"
    """The fresh file has the journal's name; a crash of the machine may bring back the old."""

    SWAP_DURABLE = "swap-durable"
    """The fresh file has the journal's name for good."""


class SqlStep(StrEnum):
    """The same of a database; one transaction lies between the first and the last."""

    LEASE_WRITTEN = "lease-written"
    """The transaction holds the lease's row, and nothing else is written yet."""

    ROWS_WRITTEN = "rows-written"
    """The transaction holds all of the commit."""

    BEFORE_COMMIT = "before-commit"
    """COMMIT is about to be said; from here on the outcome may be open."""

    AFTER_COMMIT = "after-commit"
    """The commit is durable; nobody knows yet."""


OnStep = Callable[[Step], None]
OnSqlStep = Callable[[SqlStep], None]


def unheard(step: Step | SqlStep) -> None:
    """Listen to no step."""
