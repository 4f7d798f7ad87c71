"""The site's DNS: names of guests and their addresses, in both directions."""

from collections.abc import Sequence
from typing import Protocol

from tashi.domain.differences import Difference
from tashi.domain.listings import SiteEntry


class NameService(Protocol):
    """Takes names in and forgets them again; what others have put there is left alone.

    Every method raises ServerAway when the server does not answer, and DnsFailed when it does not
    take what it is told.
    """

    def enter(self, entry: SiteEntry) -> None:
        """Let the name lead to the address and the address to the name. Harmless when repeated.

        Raises AddressTaken when the name or the address has another owner there.
        """
        ...

    def remove(self, entry: SiteEntry) -> None:
        """Forget the name and the address, if they are this owner's. Harmless when repeated."""
        ...

    def difference(self, entry: SiteEntry) -> Difference | None:
        """How what the server says differs from that; ``None`` when it says just that."""
        ...

    def entries(self) -> Sequence[SiteEntry] | None:
        """Everything that Tashi has entered; ``None`` when the server does not list what it has."""
        ...
