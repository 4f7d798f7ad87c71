"""What time brings: silent hosts, late orders, and our own absences."""

from dataclasses import replace

import pytest

from examples import a_host, running, waiting
from fakes.clock import HandTurnedClock
from tashi.clustermanager.dispatch import CheckAlive, CloseSession
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.monitor import LONGEST_KILL_SECONDS, Monitor, Times
from tashi.domain.books import Books, books_of
from tashi.domain.errors import StaleSession
from tashi.domain.identity import HostId, InstanceId, Operation, Session
from tashi.domain.instance import Instance
from tashi.domain.instructions import Instruction, NodeOrder
from tashi.domain.journal import Counters, Kind, Record
from tashi.domain.states import InstanceState as S

TIMES = Times(expire_host=30.0, decay=20.0, activate=60.0, monitor=50.0, migrate=300.0)
ONE, TWO = HostId(1), HostId(2)
WEB = InstanceId(1)


DAY = 86400.0


class Bench:
    """A monitor over books that it changes, with time in the test's hand."""

    def __init__(self, *records: Record) -> None:
        self.clock = HandTurnedClock(1000.0)
        self.books: Books = books_of(records)
        self.monitor = Monitor(self.clock, TIMES, self.books)

    def tick(self) -> list[Instruction]:
        """One look at the clock, committed; what it gives out."""
        draft = Draft(self.books, Counters(), 0.0)
        self.monitor.tick(draft)
        return self.commit(draft)

    def commit(self, draft: Draft) -> list[Instruction]:
        self.books = draft.books
        self.monitor.note(draft.entries)
        return draft.instructions

    def put(self, record: Record) -> None:
        draft = Draft(self.books, Counters(), 0.0)
        draft.put(record)
        self.commit(draft)

    def drop(self, instance: InstanceId) -> None:
        draft = Draft(self.books, Counters(), 0.0)
        draft.drop(Kind.INSTANCE, instance)
        self.commit(draft)

    def let_pass(self, seconds: int) -> list[Instruction]:
        """Look once a second, as the program does; everything that is given out."""
        given = []
        for _ in range(seconds):
            self.clock.turn(1.0)
            given += self.tick()
        return given

    def hear(self, host: HostId) -> None:
        self.monitor.open_session(host, Session(1))


def activating(operation: int = 1) -> Instance:
    return replace(
        running(waiting(1)), state=S.ACTIVATING, vm_id=None, operation=Operation(operation)
    )


def asked(given: list[Instruction]) -> list[HostId]:
    return [one.host.id for one in given if isinstance(one, CheckAlive)]


def orders(given: list[Instruction]) -> list[str]:
    return [one.order.value for one in given if isinstance(one, NodeOrder)]


def test_a_silent_host_is_asked_once_and_then_counted_as_down() -> None:
    bench = Bench(a_host(1))

    quiet = bench.let_pass(15)
    asks = bench.let_pass(15)
    lost = bench.let_pass(30)

    assert quiet == []
    assert asked(asks) == [ONE]
    assert lost == [CloseSession(ONE)]
    assert not bench.books.host(ONE).up


def test_a_host_that_is_heard_in_time_is_left_alone() -> None:
    bench = Bench(a_host(1), a_host(2))

    for _ in range(10):
        bench.hear(ONE)
        bench.let_pass(10)

    assert bench.books.host(ONE).up
    assert not bench.books.host(TWO).up


def test_a_host_that_answers_late_is_asked_again_the_next_time() -> None:
    bench = Bench(a_host(1))

    first = bench.let_pass(20)
    bench.hear(ONE)
    second = bench.let_pass(20)

    assert (asked(first), asked(second)) == ([ONE], [ONE])


def test_what_runs_on_a_lost_host_is_orphaned_and_remembers_what_it_was() -> None:
    bench = Bench(a_host(1), running(waiting(1)))

    bench.let_pass(31)

    web = bench.books.instance(WEB)
    assert (web.state, web.was, web.host_id) == (S.ORPHANED, S.RUNNING, ONE)
    assert "silent" in web.reason


def test_a_lost_hosts_session_is_over() -> None:
    bench = Bench(a_host(1))
    bench.hear(ONE)
    before = bench.monitor.is_alive(ONE)

    bench.let_pass(31)

    assert before
    assert not bench.monitor.is_alive(ONE)
    with pytest.raises(StaleSession):
        bench.monitor.is_new(ONE, Session(1), 1)


def test_our_own_absence_is_no_silence_of_theirs() -> None:
    bench = Bench(a_host(1), running(waiting(1)))
    bench.hear(ONE)
    bench.let_pass(10)

    bench.clock.turn(3600)
    after_absence = bench.tick()
    still_up = bench.let_pass(30)
    then_lost = bench.let_pass(1)

    assert after_absence == []
    assert asked(still_up) == [ONE]
    assert CloseSession(ONE) not in still_up
    assert CloseSession(ONE) in then_lost


def test_a_start_begins_every_silence_anew() -> None:
    bench = Bench(a_host(1))

    given = bench.let_pass(30)

    assert CloseSession(ONE) not in given
    assert CloseSession(ONE) in bench.let_pass(1)


def test_a_reign_begins_by_asking_every_host_that_has_an_address() -> None:
    known = replace(a_host(2), up=False, address="10.0.0.2", port=9883)
    bench = Bench(a_host(1), known)
    draft = Draft(bench.books, Counters(), 0.0)

    bench.monitor.greet(draft)

    assert asked(draft.instructions) == [TWO]


def test_reports_count_in_the_open_session_only_and_once_they_are_durable() -> None:
    bench = Bench(a_host(1))
    monitor = bench.monitor
    monitor.open_session(ONE, Session(1))

    first = monitor.is_new(ONE, Session(1), 1), monitor.is_new(ONE, Session(1), 1)
    monitor.took(ONE, Session(1), 1)
    repeated = monitor.is_new(ONE, Session(1), 1), monitor.is_new(ONE, Session(1), 2)
    monitor.open_session(ONE, Session(2))
    monitor.took(ONE, Session(1), 9)

    assert first == (True, True)
    assert repeated == (False, True)
    assert monitor.is_new(ONE, Session(2), 1)
    with pytest.raises(StaleSession):
        monitor.is_new(ONE, Session(1), 2)
    with pytest.raises(StaleSession):
        monitor.is_new(TWO, Session(1), 1)


def test_what_is_known_of_a_silent_host_decays() -> None:
    bench = Bench(a_host(1))
    bench.hear(ONE)

    bench.let_pass(20)
    fresh = bench.monitor.is_decayed(ONE)
    bench.let_pass(1)

    assert not fresh
    assert bench.monitor.is_decayed(ONE)
    assert bench.monitor.silence(ONE) == 21.0


@pytest.mark.parametrize(
    ("state", "seconds", "order"),
    [
        (S.ACTIVATING, 60, "start"),
        (S.RESUMING, 300, "restore"),
        (S.PAUSING, 50, "pause"),
        (S.SUSPENDING, 300, "save"),
        (S.DESTROYING, int(LONGEST_KILL_SECONDS), "kill"),
    ],
)
def test_an_order_that_is_late_is_given_again_each_time_its_patience_ends(
    state: S, seconds: int, order: str
) -> None:
    host = a_host(1)
    bench = Bench(host, replace(activating(), state=state))

    given = []
    for _ in range(seconds * 2):
        bench.hear(ONE)
        given.append(orders(bench.let_pass(1)))

    assert [at + 1 for at, one in enumerate(given) if one] == [seconds, seconds * 2]
    assert given[seconds - 1] == [order]
    assert bench.books.instance(WEB).state is state


def test_an_order_that_was_answered_is_not_given_again() -> None:
    bench = Bench(a_host(1))
    bench.put(activating())

    bench.put(running(waiting(1)))

    assert orders(passing(bench, 200)) == []


def test_an_order_for_what_is_gone_is_not_given_again() -> None:
    bench = Bench(a_host(1))
    bench.put(activating())

    bench.drop(WEB)

    assert orders(passing(bench, 200)) == []


def test_a_new_operation_is_given_its_whole_patience() -> None:
    bench = Bench(a_host(1))
    bench.put(activating(1))
    early = passing(bench, 40)

    bench.put(replace(activating(2), state=S.PAUSING))
    later = passing(bench, 49)

    assert orders([*early, *later]) == []
    assert orders(passing(bench, 1)) == ["pause"]


def test_a_host_that_was_lost_and_is_back_does_not_double_its_late_orders() -> None:
    bench = Bench(a_host(1))
    bench.put(activating())
    for _ in range(5):
        passing(bench, 5)
        bench.put(replace(activating(), state=S.ORPHANED, was=S.ACTIVATING))
        bench.put(activating())

    assert orders(passing(bench, 59)) == []
    assert orders(passing(bench, 1)) == ["start"]
    assert orders(passing(bench, 60)) == ["start"]


def passing(bench: Bench, seconds: int) -> list[Instruction]:
    """Let time pass in which the host is heard."""
    given = []
    for _ in range(seconds):
        bench.hear(ONE)
        given += bench.let_pass(1)
    return given


def test_a_host_that_nobody_expects_is_neither_asked_nor_lost() -> None:
    down = replace(a_host(1), up=False)
    bench = Bench(down)

    assert bench.let_pass(100) == []


def test_for_how_long_the_certificate_is_good_that_a_host_showed_last_is_known() -> None:
    bench = Bench()
    now = bench.clock.wall()
    bench.monitor.saw_certificate(ONE, now + 20 * DAY)
    bench.monitor.saw_certificate(TWO, None)
    before = bench.monitor.certificate_days(ONE), bench.monitor.certificate_days(TWO)

    bench.monitor.saw_certificate(ONE, now + 365 * DAY)

    assert before == (20.0, None)
    assert bench.monitor.certificate_days(ONE) == 365.0
