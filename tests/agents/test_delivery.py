"""Events reach every outlet in order and once, whichever of them fails, and whoever restarts."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.test_journal import AT, FIRST, event
from fakes.clock import HandTurnedClock
from fakes.outlets import MemoryOutlet
from fakes.workers import HandWorkers
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.agents.delivery import MOST_AT_ONCE, Delivery
from tashi.domain.metrics import OUTLET_EVENT, OUTLET_FAILING, Reading


class Daemon:
    """A journal, its outlets and their deliveries, on a clock turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandTurnedClock()
        self.workers = HandWorkers(self.clock)
        self.journal = FolderWriter(folder)
        self.deliveries: list[Delivery] = []

    def delivers_to(self, *outlets: MemoryOutlet) -> None:
        """The daemon is started, or started again after a crash."""
        self.workers.drop_all()
        reader = FolderReader(self.folder)
        self.deliveries = [Delivery(one, reader, self.workers) for one in outlets]
        self.news()

    def begin(self, following: int) -> None:
        self.journal.begin(FIRST % following, AT)

    def write(self, *numbers: int) -> None:
        self.journal.append(b"".join(map(event, numbers)))
        self.news()

    def news(self) -> None:
        for delivery in self.deliveries:
            delivery.news()
        self.workers.run_all()

    def let_pass(self, seconds: float) -> None:
        self.clock.turn(seconds)
        self.workers.run_all()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.journal.close()


def test_events_are_passed_on_as_they_come(daemon: Daemon) -> None:
    outlet = MemoryOutlet()
    daemon.delivers_to(outlet)

    daemon.begin(1)
    daemon.write(1, 2)
    daemon.write(3)

    assert outlet.taken == [1, 2, 3]
    assert outlet.heard == [FIRST % 1]


def test_what_was_there_before_is_passed_on_at_the_start(daemon: Daemon) -> None:
    daemon.begin(1)
    daemon.write(1, 2)
    daemon.begin(3)
    daemon.write(3)
    outlet = MemoryOutlet()

    daemon.delivers_to(outlet)

    assert outlet.taken == [1, 2, 3]
    assert outlet.heard == [FIRST % 1, FIRST % 3]


def test_who_wants_no_past_is_told_what_comes(daemon: Daemon) -> None:
    daemon.begin(1)
    daemon.write(1, 2)
    outlet = MemoryOutlet(from_now=True)
    daemon.delivers_to(outlet)

    daemon.write(3)

    assert outlet.taken == [3]


def test_who_wants_no_past_is_told_everything_where_there_is_none(daemon: Daemon) -> None:
    outlet = MemoryOutlet(from_now=True)
    daemon.delivers_to(outlet)

    daemon.begin(1)
    daemon.write(1)

    assert outlet.taken == [1]


def test_a_restart_goes_on_where_each_outlet_is(daemon: Daemon) -> None:
    one, other = MemoryOutlet("one"), MemoryOutlet("other")
    daemon.delivers_to(one, other)
    daemon.begin(1)
    daemon.write(1, 2)
    daemon.delivers_to(one)
    daemon.write(3)
    daemon.begin(4)
    daemon.write(4)

    daemon.delivers_to(one, other)

    assert one.taken == other.taken == [1, 2, 3, 4]
    assert one.heard.count(event(4)) == 1, "it is reminded of what it has"


def test_an_outlet_that_fails_is_named_and_offered_the_rest_later(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = MemoryOutlet("The log x")
    daemon.delivers_to(outlet)
    daemon.begin(1)
    outlet.fails_after = 2

    with caplog.at_level(logging.INFO):
        daemon.write(1, 2, 3)
        daemon.write(4)
        before = list(outlet.taken)
        outlet.fails_after = None
        daemon.let_pass(1.0)

    assert before == [1, 2]
    assert outlet.taken == [1, 2, 3, 4]
    assert [record.message for record in caplog.records] == [
        "The log x takes no events: It is full. Trying again in 1 s.",
        "The log x takes events again.",
    ]


def test_pauses_grow_up_to_five_minutes(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    outlet = MemoryOutlet()
    outlet.fails_after = 0
    daemon.begin(1)
    daemon.write(1)

    with caplog.at_level(logging.INFO):
        daemon.delivers_to(outlet)
        for _ in range(12):
            daemon.let_pass(300.0)

    pauses = [record.message.rsplit(" ", 2)[-2] for record in caplog.records]
    assert pauses == [*("1", "2", "4", "8", "16", "32", "64", "128", "256"), *["300"] * 4]


def test_one_that_gets_further_each_time_is_not_kept_waiting_longer(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = MemoryOutlet()
    outlet.fails_after = 2
    daemon.begin(1)
    daemon.write(*range(1, 12))

    with caplog.at_level(logging.WARNING):
        daemon.delivers_to(outlet)
        for _ in range(5):
            outlet.fails_after = 2
            daemon.let_pass(1.0)

    assert outlet.taken == list(range(1, 12))
    assert {record.message for record in caplog.records} == {
        "outlet takes no events: It is full. Trying again in 1 s."
    }


def test_news_that_came_while_it_failed_do_not_cut_the_pause_short(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = MemoryOutlet()
    outlet.fails_after = 0
    daemon.begin(1)
    daemon.write(1)
    daemon.delivers_to(outlet)
    outlet.while_taking = daemon.deliveries[0].news
    daemon.let_pass(1.0)

    daemon.let_pass(1.0)
    before = len(caplog.records)
    daemon.let_pass(1.0)

    assert (before, len(caplog.records)) == (2, 3)


def test_one_that_fails_stops_no_other(daemon: Daemon) -> None:
    ill, well = MemoryOutlet("ill"), MemoryOutlet("well")
    ill.fails_after = 0
    daemon.delivers_to(ill, well)

    daemon.begin(1)
    daemon.write(1, 2)

    assert (ill.taken, well.taken) == ([], [1, 2])


def test_much_is_passed_on_in_pieces(daemon: Daemon) -> None:
    outlet = MemoryOutlet()
    daemon.begin(1)
    daemon.write(*range(1, 2 * MOST_AT_ONCE + 11))

    daemon.delivers_to(outlet)

    assert outlet.batches == [MOST_AT_ONCE, MOST_AT_ONCE, 10]


def test_volumes_that_were_moved_away_are_done_without(daemon: Daemon) -> None:
    daemon.begin(1)
    daemon.write(1, 2)
    daemon.begin(3)
    daemon.write(3)
    next(daemon.folder.glob("000001*")).unlink()
    outlet = MemoryOutlet()

    daemon.delivers_to(outlet)

    assert outlet.taken == [3]


def test_a_damaged_volume_is_named_and_tried_again(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.begin(1)
    daemon.write(1)
    [path] = daemon.folder.glob("0*")
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"number":1', b'"nummer":1'))
    outlet = MemoryOutlet()

    with caplog.at_level(logging.WARNING):
        daemon.delivers_to(outlet)
    path.write_bytes(good)
    daemon.let_pass(1.0)

    assert "outlet takes no events: it is no line of the journal" in caplog.text
    assert outlet.taken == [1]


def test_it_says_how_far_it_is_and_whether_it_fails(daemon: Daemon) -> None:
    outlet = MemoryOutlet("The log x")
    daemon.delivers_to(outlet)
    daemon.begin(1)
    daemon.write(1, 2)
    well = list(daemon.deliveries[0].readings())
    outlet.fails_after = 0
    daemon.write(3)
    ill = list(daemon.deliveries[0].readings())

    of_it = ("The log x",)
    assert well == [Reading(OUTLET_EVENT, 2, of_it), Reading(OUTLET_FAILING, 0, of_it)]
    assert ill == [Reading(OUTLET_EVENT, 2, of_it), Reading(OUTLET_FAILING, 1, of_it)]


def test_who_stops_passes_on_no_more(daemon: Daemon) -> None:
    outlet = MemoryOutlet()
    daemon.delivers_to(outlet)
    daemon.begin(1)

    daemon.deliveries[0].stop()
    daemon.write(1)

    assert outlet.taken == []


def test_an_outlet_that_fails_as_nobody_foresaw_is_tried_again_as_well(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = MemoryOutlet()
    daemon.delivers_to(outlet)
    daemon.begin(1)
    with monkeypatch.context() as broken:
        broken.setattr(outlet, "take", None)
        daemon.write(1)
    [delivery] = daemon.deliveries
    failing = Reading(OUTLET_FAILING, True, (outlet.name,)) in delivery.readings()

    daemon.let_pass(1.0)

    assert failing
    assert outlet.taken == [1]
    assert "failed in a way that it should not" in caplog.text
