"""The cluster manager, called over the wire."""

from collections.abc import Iterable, Sequence

from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.instance import Instance, Listing
from tashi.domain.journal import Record
from tashi.domain.notices import SiteTold
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.ports.cluster import News, Snapshot
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    EventsForm,
    ListingForm,
    ProposalForm,
    SnapshotForm,
    VerdictForm,
    entry_record,
    to_form,
    to_record,
)
from tashi.wire.shape import Form
from tashi.wire.site import BookingForm, SiteToldForm


class RemoteClusterManager:
    """A cluster manager behind its calls, in records."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def snapshot(self) -> Snapshot:
        """Everything as it stands now."""
        form = self._calls.call("getSnapshot", SnapshotForm)
        records = (
            *_records(form.networks, Network),
            *_records(form.users, User),
            *_records(form.hosts, Host),
            *_records(form.instances, Instance),
        )
        return Snapshot(records, EventNumber(form.next))

    def watch(self, since: EventNumber, timeout_seconds: float) -> News:
        """The events from that number on."""
        form = self._calls.call("watch", EventsForm, since=since, timeout=timeout_seconds)
        return News(tuple(map(entry_record, form.events)), EventNumber(form.next))

    def place(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        """Propose hosts for waiting instances."""
        return self._propose("placeVms", proposals)

    def book(self, wishes: Sequence[tuple[InstanceId, tuple[Listing, ...]]]) -> Sequence[Verdict]:
        """Book addresses and names for instances' cards."""
        forms = tuple(BookingForm(key, _listing_forms(wanted)) for key, wanted in wishes)
        verdicts = self._calls.call("bookAddresses", tuple[VerdictForm, ...], bookings=forms)
        return [Verdict(InstanceId(one.instance_id), one.accepted, one.words) for one in verdicts]

    def tell_site(self, key: InstanceId, told: SiteTold) -> None:
        """Have the books say what the site's servers and hooks know of an instance."""
        form = SiteToldForm(
            listed=_listing_forms(told.listed),
            forgotten=_listing_forms(told.forgotten),
            announced=told.announced,
            trouble=told.trouble,
        )
        self._calls.call("tellSite", bool, instance_id=key, told=form)

    def relist(self, key: InstanceId, lost: Sequence[Listing]) -> None:
        """Have the scheduler enter listings again that the site's servers lack."""
        forms = _listing_forms(lost)
        self._calls.call("relistAddresses", bool, instance_id=key, listings=forms)

    def move(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        """Propose where to move running instances."""
        return self._propose("moveVms", proposals)

    def _propose(self, call: str, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        forms = tuple(ProposalForm(one.instance_id, one.host_id) for one in proposals)
        verdicts = self._calls.call(call, tuple[VerdictForm, ...], proposals=forms)
        return [Verdict(InstanceId(one.instance_id), one.accepted, one.words) for one in verdicts]


def _listing_forms(listings: Sequence[Listing]) -> tuple[ListingForm, ...]:
    return tuple(to_form(one, ListingForm) for one in listings)


def _records(forms: Iterable[Form], kind: type[Record]) -> Iterable[Record]:
    return (to_record(form, kind) for form in forms)
