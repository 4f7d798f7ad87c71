"""The site's DHCP: which address and host name each guest's network card is given.

The port is made so that a server with an API of its own, such as Kea, fits as well as those that
there are: an entry is a card with its address and name, and nothing else is asked of the server.
"""

from collections.abc import Sequence
from typing import Protocol

from tashi.domain.differences import Difference
from tashi.domain.listings import SiteEntry


class AddressService(Protocol):
    """Takes cards in and forgets them again; what others have put there is left alone.

    Every method raises ServerAway when the server does not answer, and DhcpFailed when it does not
    take what it is told.
    """

    def serves(self, ip: str) -> bool:
        """Whether this server can give that kind of address at all; asks nobody."""
        ...

    def enter(self, entry: SiteEntry) -> None:
        """Give the card its address and host name from now on. Harmless when repeated.

        Raises AddressTaken when the card, the address or the name has another owner there.
        """
        ...

    def remove(self, entry: SiteEntry) -> None:
        """Forget the card, if it is this owner's. Harmless when repeated."""
        ...

    def difference(self, entry: SiteEntry) -> Difference | None:
        """How what the server has differs from that; ``None`` when it has just that."""
        ...

    def entries(self) -> Sequence[SiteEntry] | None:
        """Everything that Tashi has entered; ``None`` when the server does not list what it has."""
        ...
