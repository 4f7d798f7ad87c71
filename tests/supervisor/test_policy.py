"""What the keeper decides: pure, so every moment is a number."""

import signal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.errors import Misconfigured
from tashi.supervisor.policy import (
    CannotStart,
    Ended,
    Event,
    Keep,
    KeepPolicy,
    Order,
    Phase,
    StopAsked,
    TimePassed,
    decide,
    describe,
    fresh,
    next_delay,
)

POLICY = KeepPolicy()
RUNNING = Keep(Phase.RUNNING, since=100.0)
STOPPING = Keep(Phase.STOPPING, since=100.0, due=110.0)

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(TimePassed()),
    st.builds(Ended, st.integers(-64, 255)),
    st.just(CannotStart("sh: Cannot allocate memory")),
    st.just(StopAsked("nmd got SIGTERM")),
)
HISTORIES = st.lists(st.tuples(EVENTS, st.floats(0, 100)), max_size=60)


def test_a_fresh_daemon_is_started_at_once() -> None:
    step = decide(POLICY, fresh(7.0), TimePassed(), 7.0)

    assert (step.keep.phase, step.order) == (Phase.RUNNING, Order.START)


def test_the_pauses_double_up_to_the_longest() -> None:
    pauses = [0.0]
    for _ in range(7):
        pauses.append(next_delay(POLICY, pauses[-1], ran_seconds=0.1))

    assert pauses[1:] == [1, 2, 4, 8, 16, 30, 30]


def test_a_steady_run_makes_the_next_pause_short_again() -> None:
    assert next_delay(POLICY, 30.0, ran_seconds=59.9) == 30
    assert next_delay(POLICY, 30.0, ran_seconds=60.0) == 1


def test_a_daemon_that_died_waits_until_its_pause_is_over() -> None:
    waiting = decide(POLICY, RUNNING, Ended(-9), 103.0).keep

    assert decide(POLICY, waiting, TimePassed(), 103.9).order is Order.NOTHING
    assert decide(POLICY, waiting, TimePassed(), 104.0).order is Order.START


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Ended(-9), "was killed by signal 9 (SIGKILL) after 3.0 s; next start in 1 s."),
        (Ended(3), "ended with exit code 3 after 3.0 s; next start in 1 s."),
        (
            Ended(1),
            "ended with exit code 1 after 3.0 s (perhaps it runs already); next start in 1 s.",
        ),
        (
            Ended(2),
            "ended with exit code 2: its configuration must be mended first; nmd gives up.",
        ),
        (Ended(0), "ended with exit code 0 and is not started again."),
        (
            CannotStart("/bin/x: No such file or directory"),
            "cannot be started (/bin/x: No such file or directory); next start in 1 s.",
        ),
        (StopAsked("nmd got SIGTERM"), "is asked to end: nmd got SIGTERM."),
    ],
)
def test_the_log_says_why_and_when_next(event: Event, line: str) -> None:
    assert decide(POLICY, RUNNING, event, 103.0).line == line


@pytest.mark.parametrize(("status", "exit_code"), [(0, 0), (2, 2)])
def test_exit_codes_0_and_2_end_the_keeping(status: int, exit_code: int) -> None:
    keep = decide(POLICY, RUNNING, Ended(status), 103.0).keep

    assert (keep.phase, keep.exit_code) == (Phase.OVER, exit_code)


def test_a_daemon_asked_to_end_is_killed_once_its_grace_is_over() -> None:
    asked = decide(POLICY, RUNNING, StopAsked("nmd got SIGTERM"), 100.0)
    patient = decide(POLICY, asked.keep, TimePassed(), 109.9)
    killed = decide(POLICY, asked.keep, TimePassed(), 110.0)
    again = decide(POLICY, killed.keep, TimePassed(), 500.0)

    assert asked.order is Order.TERMINATE
    assert patient.order is Order.NOTHING
    assert killed.order is Order.KILL
    assert killed.line == "has not ended within 10 s and is killed."
    assert (again.order, again.keep.due) == (Order.NOTHING, inf)


@pytest.mark.parametrize("status", [0, 1, 2, -9, -15])
def test_a_stop_is_done_however_the_daemon_ends(status: int) -> None:
    step = decide(POLICY, STOPPING, Ended(status), 101.0)

    assert (step.keep.phase, step.keep.exit_code) == (Phase.OVER, 0)
    assert step.line == f"{describe(status)}, as asked."


def test_a_stop_between_two_runs_is_done_at_once() -> None:
    waiting = Keep(Phase.WAITING, since=100.0, due=130.0, delay_seconds=30.0)

    step = decide(POLICY, waiting, StopAsked("nmd got SIGINT"), 101.0)

    assert (step.keep.phase, step.order) == (Phase.OVER, Order.NOTHING)
    assert step.line == "is not started again: nmd got SIGINT."


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert describe(-signal.SIGRTMIN - 1) == f"was killed by signal {signal.SIGRTMIN + 1}"


@given(HISTORIES)
def test_nothing_is_started_after_a_stop_was_asked(history: list[tuple[Event, float]]) -> None:
    keep, now, stopped = fresh(0.0), 0.0, False
    for event, seconds in history:
        now += seconds
        stopped = stopped or isinstance(event, StopAsked)
        step = decide(POLICY, keep, event, now)
        keep = step.keep

        assert not (stopped and step.order is Order.START)
        assert stopped <= (keep.phase in {Phase.STOPPING, Phase.OVER})


@given(HISTORIES)
def test_pauses_stay_in_bounds_and_the_end_is_final(history: list[tuple[Event, float]]) -> None:
    keep, now = fresh(0.0), 0.0
    for event, seconds in history:
        now += seconds
        before, keep = keep, decide(POLICY, keep, event, now).keep

        assert keep == before or before.phase is not Phase.OVER
        assert keep.delay_seconds == 0 or 1 <= keep.delay_seconds <= 30
        assert keep.phase is not Phase.WAITING or keep.due <= now + 30


@given(HISTORIES, st.integers(-64, 255))
def test_whatever_happened_before_a_stop_and_an_end_finish_it(
    history: list[tuple[Event, float]], status: int
) -> None:
    keep, now = fresh(0.0), 0.0
    for event, seconds in history:
        now += seconds
        keep = decide(POLICY, keep, event, now).keep

    asked = decide(POLICY, keep, StopAsked("nmd got SIGTERM"), now).keep
    ended = decide(POLICY, asked, Ended(status), now).keep

    assert ended.phase is Phase.OVER


@pytest.mark.parametrize(("first", "longest"), [(0.0, 30.0), (-1.0, 30.0), (31.0, 30.0)])
def test_delays_that_would_spin_or_contradict_are_refused(first: float, longest: float) -> None:
    with pytest.raises(Misconfigured, match="must be above 0 and at most the longest delay"):
        KeepPolicy(first_delay_seconds=first, longest_delay_seconds=longest)
