"""The right to keep the books, as it goes from one cluster manager to the next."""

from typing import Protocol

from tashi.domain.succession import Sighting


class Succession(Protocol):
    """What several cluster managers that share their books ask of the store that has them."""

    def sight(self) -> Sighting:
        """The lease as it stands, claiming nothing.

        Raises Misconfigured when the store cannot be used as it is, StoreFailed when it cannot be
        reached.
        """
        ...

    def claim(self, seen: Sighting) -> None:
        """Own the books from here on, if the lease is still as it was seen; `load` comes next.

        Raises ReignLost when it has moved on, Misconfigured and StoreFailed like `sight`.
        """
        ...
