"""What there is to see of a node's guests, as readings."""

from tashi.domain import metrics
from tashi.domain.guest import GuestState
from tashi.domain.identity import Attempt, InstanceId
from tashi.nodemanager.gauges import readings
from tashi.nodemanager.guests import Note
from tashi.wire.forms import ReportForm


def test_guests_are_counted_by_state_and_what_is_still_to_be_told_is_summed() -> None:
    report = ReportForm("Started", 1, 1, 0)
    here = Note(InstanceId(1), Attempt(1), 0, GuestState.RUNNING, unheard=(report, report))
    cleared = Note(InstanceId(2), Attempt(1), 0, GuestState.GONE, cleared=True, unheard=(report,))

    found = {(one.metric, one.labels): one.value for one in readings([here, cleared])}

    assert found[metrics.GUESTS, ("running",)] == 1
    assert found[metrics.GUESTS, ("gone",)] == 0
    assert found[metrics.UNHEARD, ()] == 3
