"""The calls about addresses: booked by the scheduler, said to be told, seen to be lost."""

from concurrent.futures import Future
from typing import Any

from tashi.clustermanager import addresses
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Listing
from tashi.domain.notices import SiteTold
from tashi.domain.permissions import Caller
from tashi.wire import forms as f
from tashi.wire.site import BookingForm, SiteToldForm


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = SiteCalls(office)
    return {
        "bookAddresses": calls.book,
        "tellSite": calls.tell,
        "relistAddresses": calls.relist,
    }


class SiteCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def book(self, caller: Caller, request: str, bookings: tuple[BookingForm, ...]) -> Future[Any]:
        """Book every wish that is possible."""
        wishes = [(InstanceId(one.instance_id), _listings(one.listings)) for one in bookings]

        def act(draft: Draft) -> tuple[f.VerdictForm, ...]:
            verdicts = addresses.book_many(draft, wishes, caller.name)
            return tuple(f.VerdictForm(key, not words, words) for key, words in verdicts)

        return self._office.ledger.ask(act, request, tuple[f.VerdictForm, ...])

    def tell(
        self, caller: Caller, request: str, instance_id: int, told: SiteToldForm
    ) -> Future[Any]:
        """Enter what the site's servers know."""
        return self._notice(caller, request, instance_id, f.to_record(told, SiteTold))

    def relist(
        self,
        caller: Caller,
        request: str,
        instance_id: int,
        listings: tuple[f.ListingForm, ...],
    ) -> Future[Any]:
        """Let the scheduler enter again what the site's servers lack."""
        return self._notice(caller, request, instance_id, SiteTold(lost=_listings(listings)))

    def _notice(
        self, caller: Caller, request: str, instance_id: int, notice: SiteTold
    ) -> Future[Any]:
        def act(draft: Draft) -> bool:
            addresses.take_notice(draft, InstanceId(instance_id), notice, caller.name)
            return True

        return self._office.ledger.ask(act, request, bool)


def _listings(forms: tuple[f.ListingForm, ...]) -> tuple[Listing, ...]:
    return tuple(f.to_record(one, Listing) for one in forms)
