"""What every clock promises: one hand for durations, one for dates."""

import time

import pytest

from fakes.clock import HandTurnedClock
from tashi.adapters.system.clock import SystemClock
from tashi.ports.clock import Clock

IN_2020, IN_2100 = 1_577_836_800.0, 4_102_444_800.0


@pytest.fixture(params=[SystemClock, HandTurnedClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def let_pass(clock: Clock) -> None:
    """Let a moment pass, the shortest that there is."""
    if isinstance(clock, HandTurnedClock):
        clock.turn(0.001)
    before = clock.monotonic()
    while isinstance(clock, SystemClock) and clock.monotonic() == before:
        pass


def test_durations_never_run_backwards(clock: Clock) -> None:
    readings = [clock.monotonic() for _ in range(1000)]

    assert readings == sorted(readings)


def test_time_passes(clock: Clock) -> None:
    before = clock.monotonic()

    let_pass(clock)

    assert clock.monotonic() > before


def test_the_date_is_in_seconds_since_1970(clock: Clock) -> None:
    assert IN_2020 < clock.wall() < IN_2100


def test_a_hand_turned_clock_moves_both_hands_and_only_when_turned() -> None:
    clock = HandTurnedClock(10.0, 1_600_000_000.0)

    clock.turn(2.5)

    assert (clock.monotonic(), clock.wall()) == (12.5, 1_600_000_002.5)


def test_the_machines_clock_is_not_the_one_that_stands_still_in_suspend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    earliest = time.clock_gettime(time.CLOCK_BOOTTIME)

    read = SystemClock().monotonic()

    assert earliest <= read <= time.clock_gettime(time.CLOCK_BOOTTIME)
