"""Lines of the journal: those of today, and those that another Tashi wrote."""

import msgspec
import pytest

from fakes.history import RACK, instance
from tashi.domain.errors import BadRequest
from tashi.domain.identity import UserId
from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState as S
from tashi.domain.usage import Tally
from tashi.wire import forms as f
from tashi.wire import history

RUNNING = instance(1, S.RUNNING, changed_at=10.0)
EVENTS = [
    f.EntryForm(7, 20.0, "CM VM UPDATE", "rack1", Kind.INSTANCE, 1, instance=RUNNING),
    f.EntryForm(8, 30.0, "", "", Kind.HOST, 1, host=RACK),
    f.EntryForm(9, 40.0, "", "", Kind.INSTANCE, 1),
]


def test_every_event_is_a_line_with_its_number() -> None:
    lines = history.event_lines(EVENTS).splitlines()

    assert [history.number_of(line) for line in lines] == [7, 8, 9]
    assert [msgspec.json.decode(line, type=f.EntryForm) for line in lines] == EVENTS


def test_the_first_line_holds_the_whole_snapshot() -> None:
    snapshot = f.SnapshotForm(
        (RUNNING,), (RACK,), (f.NetworkForm(1, "n"),), (f.UserForm(1, "u"),), 7
    )

    line = history.first_line(snapshot, 15.0)

    present = msgspec.json.decode(line, type=history.PresentForm)
    assert history.next_after_first(line) == 7
    assert (present.at, present.instances, present.hosts) == (15.0, (RUNNING,), (RACK,))
    assert (present.networks, present.users) == (snapshot.networks, snapshot.users)


def test_a_tally_is_told_what_the_lines_say() -> None:
    tally = Tally(0.0, 100.0)

    history.tell_present(history.first_line(f.SnapshotForm((RUNNING,), (), (), (), 7), 15.0), tally)
    told = [history.tell_event(history.event_lines([event]), tally) for event in EVENTS]

    assert told == [(7, 20.0), (8, 30.0), (9, 40.0)]
    assert tally.result()[UserId(1000)].instance_seconds == 30.0


def test_what_another_tashi_wrote_beside_it_is_let_be() -> None:
    tally = Tally(0.0, 100.0)
    line = msgspec.json.decode(history.event_lines(EVENTS[:1]))
    line["instance"]["colour"] = line["colour"] = "green"

    history.tell_event(msgspec.json.encode(line), tally)

    assert tally.result()[UserId(1000)].instance_seconds == 80.0


@pytest.mark.parametrize("line", [b"", b"{}", b"\0\0", b'{"number":"7"}', b"\xff\xfe", b"[1]"])
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadRequest, match="it is no line of the journal"):
        history.number_of(line)
