"""Where the books are kept."""

from typing import Protocol

from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Commit, Kept


class Store(Protocol):
    """Durable state of one cluster, owned by one cluster manager at a time.

    The owner calls from one thread. A store applies commits in the order of their numbers and
    refuses one whose number is not the next.
    """

    def load(self) -> Kept:
        """All that is kept, and from here on the claim to be the only owner.

        Raises Refused while another process owns it; Misconfigured when the state is damaged or
        of a newer schema, with what to do; StoreFailed when it cannot be reached.
        """
        ...

    def look(self) -> Kept:
        """All that is durable at this moment, claiming nothing; also while another process owns it.

        Raises Misconfigured and StoreFailed like `load`.
        """
        ...

    def fill(self, begun_with: Kept) -> None:
        """Begin with all that, durable and whole; only a store that is loaded and empty takes it.

        Raises Broken for any other, and StoreFailed when it could not be written.
        """
        ...

    def commit(self, commit: Commit) -> None:
        """Make the commit durable, whole.

        Raises StoreFailed when nothing of it was kept; the same number may then be tried again.
        Raises OutcomeUnknown when it may or may not have been kept; then only `settle` or `close`
        may follow.
        """
        ...

    def settle(self) -> CommitNumber:
        """After an unknown outcome: the number of the last commit that is durable.

        The store is in order again when this returns. Raises StoreFailed while it cannot tell.
        """
        ...

    def tend(self) -> None:
        """See, while nothing is committed, that what is kept is still there; mend what can be.

        Raises StoreFailed when it cannot be mended.
        """
        ...

    def close(self) -> None:
        """Give up ownership. Harmless when repeated."""
        ...
