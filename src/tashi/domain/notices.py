"""What is said of an instance's names and addresses, of its hooks, and of its files at rest.

The scheduler says the first two, the cluster manager itself the last. A family of events beside
those of `events`: a *notice* fits whatever state the instance is in, and changes none.
"""

from dataclasses import dataclass

from tashi.domain.events import Event
from tashi.domain.instance import Listing, Spent


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something about an instance that has nothing to do with its state."""


@dataclass(frozen=True, slots=True)
class BookAddresses(Notice):
    """These addresses and names are its cards' from now on; it was seen that they are free."""

    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTold(Notice):
    """The site's servers have `listed` some of its listings and have `forgotten` others.

    `lost` are listings that they had and were seen to lack.
    `announced` says that hooks were told of it (True) or of its end (False), `trouble` what keeps
    the rest from being told; ``None`` leaves what the record says.
    """

    listed: tuple[Listing, ...] = ()
    forgotten: tuple[Listing, ...] = ()
    lost: tuple[Listing, ...] = ()
    announced: bool | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Discarded(Notice):
    """The image store has this of it, or may have, and it is of no use to anybody."""

    spent: Spent


@dataclass(frozen=True, slots=True)
class Deleted(Notice):
    """The image store has this of it no more."""

    spent: Spent
