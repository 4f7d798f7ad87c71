"""The node's side of the conversation: in order, until it is heard, in one session at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from errno import EMFILE

import pytest

from fakes.clock import HandTurnedClock
from fakes.registrar import FakeRegistrar, silence
from fakes.workers import HandWorkers
from tashi.domain.errors import (
    BadRequest,
    HostNameMismatch,
    HypervisorFailed,
    NoSuchHost,
    StaleSession,
    StoreFailed,
    TashiError,
)
from tashi.domain.guest import GuestState
from tashi.domain.host import Machine
from tashi.domain.identity import Mib, NetworkId
from tashi.nodemanager import outbox as room
from tashi.nodemanager.inbox import Inbox
from tashi.nodemanager.outbox import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_REPORTS_AT_ONCE,
    Outbox,
)
from tashi.wire.forms import GuestForm, ReportForm, SessionForm

FREQUENCY = 10.0
H1 = Machine(
    name="h1", memory=Mib(4096), cores=4, version="1.0", address="h1", port=9883, boot_id="boot-1"
)


class Node:
    """A node that remembers what it reports until it is acknowledged, as the real one does."""

    def __init__(self) -> None:
        self.kept: list[ReportForm] = []
        self.guests: tuple[GuestForm, ...] = ()
        self.sessions: list[SessionForm] = []
        self.refusals: list[TashiError] = []
        self.on_opened: Callable[[], None] = lambda: None

    def admit(self, session: SessionForm) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sessions.append(session)

    def opened(self) -> None:
        self.on_opened()

    def unheard(self) -> Iterable[ReportForm]:
        return list(self.kept)

    def inventory(self) -> tuple[GuestForm, ...]:
        return self.guests

    def acknowledged(self, reports: Sequence[ReportForm]) -> None:
        self.kept = [one for one in self.kept if one not in reports]


class Bench:
    """An outbox between a node and a cluster manager of the test's."""

    def __init__(self) -> None:
        self.clock = HandTurnedClock()
        self.workers = HandWorkers(self.clock)
        self.registrar = FakeRegistrar()
        self.node = Node()
        self.inbox = Inbox()
        self.machine = H1
        self.unsaid: list[Exception] = []
        hello = (self._describe, False)
        self.outbox = Outbox(
            self.registrar, self.workers, self.clock, self.inbox.post, hello, FREQUENCY
        )

    def _describe(self) -> Machine:
        if self.unsaid:
            raise self.unsaid.pop(0)
        return self.machine

    def begin(self) -> None:
        self.outbox.serve(self.node)
        self.settle()

    def settle(self) -> None:
        self.inbox.turn(0.0)
        while self.workers.run_all():
            self.inbox.turn(0.0)

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.turn(0.25)
            self.outbox.tick()
            self.settle()

    def report(self, *reports: ReportForm) -> None:
        self.node.kept.extend(reports)
        self.outbox.push(reports)
        self.settle()


def a_report(number: int) -> ReportForm:
    return ReportForm("Cleared", number, 1, 1)


def guests_of(reports: Iterable[ReportForm]) -> list[int]:
    return [report.instance_id for report in reports]


def test_a_session_begins_with_what_was_not_heard_and_then_an_inventory() -> None:
    bench = Bench()
    bench.node.kept = [a_report(1), a_report(2)]
    bench.node.guests = (GuestForm(3, 1, 1, GuestState.RUNNING, 4711),)

    bench.begin()

    [(number, reports, inventory)] = bench.registrar.taken
    assert number == 1
    assert guests_of(reports) == [1, 2]
    assert inventory is not None
    assert (inventory.session, inventory.guests) == (1, bench.node.guests)
    assert bench.node.kept == []


def test_a_machine_that_has_changed_is_told_in_a_new_session() -> None:
    bench = Bench()
    bench.begin()
    bench.let_pass(2 * FREQUENCY)
    unchanged = len(bench.registrar.machines)

    bench.machine = replace(H1, networks=(NetworkId(999),))
    bench.let_pass(2 * FREQUENCY)

    assert unchanged == 1
    assert bench.registrar.machines == [H1, bench.machine]
    assert bench.outbox.session is not None


@pytest.mark.parametrize("speaks_already", [False, True], ids=["hello", "sign of life"])
@pytest.mark.parametrize(
    "mishap",
    [
        OSError(EMFILE, "Too many open files"),
        RuntimeError("can't start new thread"),
        HypervisorFailed("The machine does not say what it is."),
    ],
)
def test_a_machine_that_cannot_say_what_it_is_for_once_does_not_silence_its_node(
    mishap: Exception, speaks_already: bool
) -> None:
    bench = Bench()
    if speaks_already:
        bench.begin()
    bench.unsaid = [mishap]
    if not speaks_already:
        bench.begin()
    bench.let_pass(3 * FREQUENCY)

    assert bench.unsaid == []
    assert bench.outbox.session is not None
    assert bench.registrar.machines == [H1]
    assert len(bench.registrar.taken) >= 3


def test_reports_are_heard_in_the_order_they_were_made() -> None:
    bench = Bench()
    bench.begin()

    for number in range(1, 6):
        bench.report(a_report(number))

    assert guests_of(bench.registrar.reports) == [1, 2, 3, 4, 5]
    assert [number for number, _, _ in bench.registrar.taken] == [1, 2, 3, 4, 5, 6]


def test_a_message_that_is_not_heard_is_repeated_and_the_later_ones_wait_behind_it() -> None:
    bench = Bench()
    bench.begin()
    bench.registrar.mishaps = [silence()] * 3

    bench.report(a_report(1))
    bench.report(a_report(2), a_report(3))
    meanwhile = list(bench.registrar.reports)
    bench.let_pass(10)

    assert meanwhile == []
    assert [(number, guests_of(reports)) for number, reports, _ in bench.registrar.taken[1:]] == [
        (2, [1]),
        (3, [2, 3]),
    ]


def test_the_pauses_between_tries_grow_up_to_a_limit() -> None:
    bench = Bench()
    bench.begin()
    bench.registrar.mishaps = [silence()] * 100
    bench.report(a_report(1))

    bench.let_pass(FIRST_PAUSE_SECONDS)
    soon = 100 - len(bench.registrar.mishaps)
    bench.let_pass(LONGEST_PAUSE_SECONDS * 10)
    tries = 100 - len(bench.registrar.mishaps)

    assert soon == 2
    assert 10 <= tries <= 16


def test_a_hello_that_nobody_answers_is_said_again() -> None:
    bench = Bench()
    bench.registrar.mishaps = [silence(), NoSuchHost("h1?"), HostNameMismatch("Another h1.")]

    bench.begin()
    opening = bench.outbox.is_opening
    bench.let_pass(10)

    assert opening
    assert not bench.outbox.is_opening
    assert bench.outbox.session == SessionForm(1, 1, 1)


def test_what_happens_outside_a_session_is_told_in_the_next() -> None:
    bench = Bench()
    bench.registrar.mishaps = [silence()]
    bench.begin()

    bench.report(a_report(1))
    bench.let_pass(1)

    assert guests_of(bench.registrar.reports) == [1]


def test_a_session_that_is_over_is_followed_by_another_that_tells_everything_unheard() -> None:
    bench = Bench()
    bench.begin()
    bench.registrar.end_session()

    bench.report(a_report(1))
    bench.report(a_report(2))

    assert bench.outbox.session == SessionForm(1, 1, 2)
    assert guests_of(bench.registrar.reports) == [1, 2]
    assert len(bench.registrar.inventories) == 2


def test_an_answer_that_was_lost_tells_a_report_twice_but_never_loses_it() -> None:
    bench = Bench()
    bench.begin()
    bench.report(a_report(1))
    bench.node.kept = [a_report(1)]  # its acknowledgement died with the node manager
    bench.outbox.open()
    bench.settle()

    assert guests_of(bench.registrar.reports) == [1, 1]
    assert bench.node.kept == []


def test_an_inventory_is_made_when_its_turn_comes() -> None:
    bench = Bench()
    bench.node.kept = [a_report(number) for number in range(MOST_REPORTS_AT_ONCE + 1)]
    bench.outbox.serve(bench.node)
    bench.workers.run_all()
    bench.inbox.turn(0.0)

    bench.node.guests = (GuestForm(3, 1, 1, GuestState.RUNNING, 4711),)
    bench.settle()

    assert [len(reports) for _, reports, _ in bench.registrar.taken] == [MOST_REPORTS_AT_ONCE, 1]
    assert bench.registrar.taken[1][2] is not None
    assert bench.registrar.inventories[0].guests == bench.node.guests


def test_no_message_holds_more_reports_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_REPORTS_AT_ONCE", 2)
    bench = Bench()
    bench.begin()

    bench.report(*map(a_report, range(5)))

    assert [len(reports) for _, reports, _ in bench.registrar.taken] == [0, 2, 2, 1]


def test_a_sign_of_life_breaks_every_long_silence() -> None:
    bench = Bench()
    bench.begin()

    bench.let_pass(FREQUENCY * 3)

    assert [(len(reports), inventory) for _, reports, inventory in bench.registrar.taken[1:]] == [
        (0, None)
    ] * 3


def test_who_has_spoken_gives_no_sign_of_life_and_none_is_queued_in_silence() -> None:
    bench = Bench()
    bench.begin()
    bench.let_pass(FREQUENCY - 1)
    bench.report(a_report(1))

    bench.let_pass(FREQUENCY - 1)
    spoken = len(bench.registrar.taken)
    bench.registrar.mishaps = [silence()] * 20
    bench.let_pass(60)
    bench.registrar.mishaps = []
    bench.let_pass(LONGEST_PAUSE_SECONDS)

    assert spoken == 2
    assert len(bench.registrar.taken) == 3


def test_a_cluster_manager_that_has_forgotten_us_is_found_out_by_a_sign_of_life() -> None:
    bench = Bench()
    bench.begin()
    bench.registrar.end_session()

    bench.let_pass(FREQUENCY)

    assert bench.outbox.session == SessionForm(1, 1, 2)


@pytest.mark.parametrize(
    "refusal", [StoreFailed("The notes are full."), StaleSession("That was an earlier reign.")]
)
def test_a_session_that_the_node_cannot_admit_is_not_opened(refusal: TashiError) -> None:
    bench = Bench()
    bench.node.refusals = [refusal] * 3
    bench.node.kept = [a_report(1)]

    bench.begin()
    session, taken = bench.outbox.session, list(bench.registrar.taken)
    bench.let_pass(10)

    assert (session, taken) == (None, [])
    assert bench.outbox.session == SessionForm(1, 1, 4)
    assert guests_of(bench.registrar.reports) == [1]


def test_a_message_that_is_refused_as_such_does_not_open_sessions_without_end() -> None:
    bench = Bench()
    bench.begin()
    hellos = len(bench.registrar.machines)

    def refuse_reports() -> None:
        bench.registrar.mishaps = [BadRequest("There is no report 'Cleared'.")]

    bench.node.on_opened = refuse_reports
    refuse_reports()
    bench.report(a_report(1))
    bench.let_pass(60)

    assert 5 <= len(bench.registrar.machines) - hellos <= 12


def test_orders_taken_up_as_the_session_opens_are_reported_after_what_was_unheard() -> None:
    bench = Bench()
    bench.node.kept = [a_report(1)]
    bench.node.on_opened = lambda: bench.outbox.push([a_report(2)])

    bench.begin()

    assert guests_of(bench.registrar.reports) == [1, 2]


@pytest.mark.parametrize("mishap", [None, silence(), StaleSession("Over.")])
def test_an_answer_of_an_old_session_does_not_disturb_the_new_one(
    mishap: TashiError | None,
) -> None:
    bench = Bench()
    bench.begin()

    def open_another() -> None:
        bench.registrar.while_told = lambda: None
        bench.registrar.mishaps = [] if mishap is None else [mishap]
        bench.outbox.open()

    bench.registrar.while_told = open_another
    bench.report(a_report(1))
    bench.let_pass(FREQUENCY - 1)

    assert bench.outbox.session == SessionForm(1, 1, 2)
    assert set(guests_of(bench.registrar.reports)) == {1}
    assert [number for number, _, _ in bench.registrar.taken][-1] == 1
    assert bench.node.kept == []
