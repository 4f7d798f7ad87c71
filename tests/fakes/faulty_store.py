"""A store whose next commit goes wrong as told, over any store that works."""

from collections import deque
from enum import Enum, auto

from tashi.domain.errors import Broken, OutcomeUnknown, StoreFailed
from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Commit, Kept
from tashi.ports.store import Store


class Fault(Enum):
    """What happens to a commit."""

    FAILS = auto()
    UNKNOWN_KEPT = auto()
    UNKNOWN_LOST = auto()


class FaultyStore:
    """Passes everything on to another store, but for the faults it was told of."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults = deque[Fault | None]()
        self._failing_settles = 0
        self._loses = ""
        self._in_doubt = False

    def will(self, *faults: Fault | None) -> None:
        """Meet the next commits with these, one each; None lets one pass."""
        self._faults.extend(faults)

    def cannot_settle(self, times: int) -> None:
        """Let `settle` fail so many times."""
        self._failing_settles = times

    def has_lost(self, words: str) -> None:
        """Say so whenever it is tended to; nothing is lost any more when the words are empty."""
        self._loses = words

    def load(self) -> Kept:
        self._in_doubt = False
        return self._store.load()

    def look(self) -> Kept:
        return self._store.look()

    def fill(self, begun_with: Kept) -> None:
        self._store.fill(begun_with)

    def commit(self, commit: Commit) -> None:
        if self._in_doubt:
            raise Broken("A commit was tried while the outcome of the last one is unknown.")
        fault = self._faults.popleft() if self._faults else None
        if fault is Fault.FAILS:
            raise StoreFailed("The change could not be written; nothing of it happened.")
        if fault is not Fault.UNKNOWN_LOST:
            self._store.commit(commit)
        if fault is not None:
            self._in_doubt = True
            raise OutcomeUnknown("The change may or may not have been written.")

    def settle(self) -> CommitNumber:
        if self._failing_settles:
            self._failing_settles -= 1
            raise StoreFailed("The store cannot be asked.")
        self._in_doubt = False
        return self._store.settle()

    def tend(self) -> None:
        if self._loses:
            raise StoreFailed(self._loses)
        self._store.tend()

    def close(self) -> None:
        self._store.close()
