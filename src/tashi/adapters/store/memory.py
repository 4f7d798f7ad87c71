"""Books that last as long as their process: for tests, and for trying Tashi out.

Nothing here is durable, and nothing here can fail.
"""

from tashi.adapters.store.holdings import Holdings, begin, kept
from tashi.domain.errors import Broken
from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Answer, Commit, Entry, Kept


class MemoryStore:
    """A store in memory; loading it again gives what was committed."""

    def __init__(self) -> None:
        self._holdings = Holdings[Entry, Answer]()

    def load(self) -> Kept:
        """All that is kept."""
        return kept(self._holdings)

    def commit(self, commit: Commit) -> None:
        """Keep the commit; raises Broken when it is not the next."""
        self._holdings.expect(commit)
        self._holdings.take(commit, commit.entries, commit.answers)

    def look(self) -> Kept:
        """All that is kept: nothing is ever claimed here."""
        return kept(self._holdings)

    def fill(self, begun_with: Kept) -> None:
        """Begin with all that; raises Broken when there is something already."""
        if self._holdings.number:
            raise Broken("This store holds books already, and takes no others.")
        for entry in begin(self._holdings, begun_with):
            self._holdings.take_entry(entry, entry)
        for answer in begun_with.answers:
            self._holdings.take_answer(answer, answer)

    def settle(self) -> CommitNumber:
        """The number of the last commit: no outcome is ever unknown here."""
        return self._holdings.number

    def tend(self) -> None:
        """Nothing here can get lost."""

    def close(self) -> None:
        """Nothing is owned that could be given up."""
