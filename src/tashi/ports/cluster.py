"""The cluster manager, as the daemons see it that follow it and propose to it.

Everything here is said in records; the forms and calls that carry them are the adapter's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.instance import Listing
from tashi.domain.journal import Entry, Record
from tashi.domain.notices import SiteTold
from tashi.domain.placement.plan import Proposal, Verdict


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every record, and the number of the first event that they do not contain."""

    records: tuple[Record, ...]
    next: EventNumber


@dataclass(frozen=True, slots=True)
class News:
    """Events in order, and the number to ask for next."""

    entries: tuple[Entry, ...]
    next: EventNumber


class ClusterManager(Protocol):
    """Tells what is in the books and what happens to them, and takes proposals.

    Every method raises PeerSilent when no answer came in time, and whatever else the cluster
    manager refuses with.
    """

    def snapshot(self) -> Snapshot:
        """Everything as it stands now."""
        ...

    def watch(self, since: EventNumber, timeout_seconds: float) -> News:
        """The events from that number on; waits up to so many seconds for the first.

        Raises TooOld when some of them are no longer kept.
        """
        ...

    def place(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        """Propose hosts for waiting instances, and hear of each whether it is accepted.

        Harmless when repeated: what has been placed before is refused.
        """
        ...

    def book(self, wishes: Sequence[tuple[InstanceId, tuple[Listing, ...]]]) -> Sequence[Verdict]:
        """Book addresses and names for instances' cards, and hear of each whether it is booked.

        Harmless when repeated.
        """
        ...

    def tell_site(self, key: InstanceId, told: SiteTold) -> None:
        """Have the books say what the site's servers and hooks know of an instance.

        Raises NoSuchInstance when there is nothing of it in the books any more. Harmless when
        repeated.
        """
        ...

    def relist(self, key: InstanceId, lost: Sequence[Listing]) -> None:
        """Have the scheduler enter listings again that the site's servers were seen to lack.

        Raises NoSuchInstance when there is nothing of it in the books any more. Harmless when
        repeated.
        """
        ...

    def move(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        """Propose where to move running instances of hosts that are being emptied.

        Harmless when repeated: what moves already is refused.
        """
        ...
