"""The cluster manager, called over the wire."""

from collections.abc import Iterable, Sequence

from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Record
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.ports.cluster import News, Snapshot
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    EventsForm,
    ProposalForm,
    SnapshotForm,
    VerdictForm,
    entry_record,
    to_record,
)
from tashi.wire.shape import Form


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

    def move(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        """Propose where to move running instances."""
        return self._propose("moveVms", proposals)

    def _propose(self, call: str, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        forms = tuple(ProposalForm(one.instance_id, one.host_id) for one in proposals)
        verdicts = self._calls.call(call, tuple[VerdictForm, ...], proposals=forms)
        return [Verdict(InstanceId(one.instance_id), one.accepted, one.words) for one in verdicts]


def _records(forms: Iterable[Form], kind: type[Record]) -> Iterable[Record]:
    return (to_record(form, kind) for form in forms)
