"""When a daemon is started again, waited for, stopped or given up.

Pure: a phase, an event and the time go in; the next phase, one order and one sentence for the log
come out. No clock, no process and no file may enter; times are monotonic seconds.

    WAITING ── TimePassed ──> RUNNING ── Ended ──> WAITING, with a longer pause
       │                         ├── Ended (0 or 2) ──> OVER
       │                         └── StopAsked ──> STOPPING ── Ended ──> OVER
       └── StopAsked ──> OVER

Two laws hold: after StopAsked nothing is started any more, and OVER is never left. A pair that the
picture does not have changes nothing.
"""

import signal
from dataclasses import dataclass, replace
from enum import Enum
from math import inf

from tashi.domain.errors import Misconfigured

# Exit codes of every Tashi program.
DONE = 0
REFUSED = 1
MISCONFIGURED = 2


class Phase(Enum):
    """What the keeper is about."""

    WAITING = "waiting for the next start"
    RUNNING = "running"
    STOPPING = "asked to end"
    OVER = "no longer kept"


class Order(Enum):
    """What the keeper is to do about the process."""

    NOTHING = "nothing"
    START = "start it"
    TERMINATE = "ask it to end"
    KILL = "kill it"


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """How patient the keeper is, in seconds."""

    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 30.0
    steady_after_seconds: float = 60.0
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.first_delay_seconds <= self.longest_delay_seconds:
            raise Misconfigured(
                f"The first delay ({self.first_delay_seconds:g} s) must be above 0 and at most"
                f" the longest delay ({self.longest_delay_seconds:g} s)."
            )


@dataclass(frozen=True, slots=True)
class Keep:
    """Where the keeping stands.

    `due` is when time itself is the next event; `delay_seconds` the pause before the latest
    restart (0 when there was none, or when the daemon has been steady since).
    """

    phase: Phase
    since: float
    due: float = inf
    delay_seconds: float = 0.0
    exit_code: int = DONE


@dataclass(frozen=True, slots=True)
class TimePassed:
    """It is later than it was."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The process is gone: its exit code, or the negated signal that killed it."""

    status: int


@dataclass(frozen=True, slots=True)
class CannotStart:
    """The operating system did not start the process."""

    reason: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the daemon stopped."""

    by: str


Event = TimePassed | Ended | CannotStart | StopAsked


@dataclass(frozen=True, slots=True)
class Step:
    """What an event leads to; `line` goes after the daemon's name in the log, empty for none."""

    keep: Keep
    order: Order = Order.NOTHING
    line: str = ""


def fresh(now: float) -> Keep:
    """Return the keep of a daemon that is to be started at once."""
    return Keep(Phase.WAITING, since=now, due=now)


def decide(policy: KeepPolicy, keep: Keep, event: Event, now: float) -> Step:
    """Say what follows from an event; total, so an event out of place changes nothing."""
    match keep.phase:
        case Phase.WAITING:
            return _while_waiting(keep, event, now)
        case Phase.RUNNING:
            return _while_running(policy, keep, event, now)
        case Phase.STOPPING:
            return _while_stopping(policy, keep, event, now)
        case Phase.OVER:
            return Step(keep)


def _while_waiting(keep: Keep, event: Event, now: float) -> Step:
    match event:
        case TimePassed() if now >= keep.due:
            return Step(replace(keep, phase=Phase.RUNNING, since=now, due=inf), Order.START)
        case StopAsked(by=by):
            return Step(_over(keep, now, DONE), line=f"is not started again: {by}.")
        case _:
            return Step(keep)


def _while_running(policy: KeepPolicy, keep: Keep, event: Event, now: float) -> Step:
    match event:
        case CannotStart(reason=reason):
            return _again(policy, keep, now, f"cannot be started ({reason})")
        case Ended(status=status):
            return _after_end(policy, keep, status, now)
        case StopAsked(by=by):
            due = now + policy.grace_seconds
            stopping = replace(keep, phase=Phase.STOPPING, since=now, due=due)
            return Step(stopping, Order.TERMINATE, f"is asked to end: {by}.")
        case _:
            return Step(keep)


def _while_stopping(policy: KeepPolicy, keep: Keep, event: Event, now: float) -> Step:
    match event:
        case TimePassed() if now >= keep.due:
            why = f"has not ended within {policy.grace_seconds:g} s and is killed."
            return Step(replace(keep, due=inf), Order.KILL, why)
        case Ended(status=status):
            return Step(_over(keep, now, DONE), line=f"{describe(status)}, as asked.")
        case _:
            return Step(keep)


def describe(status: int) -> str:
    """Return how a process ended, in words that follow its name."""
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:  # a real-time signal has a number only
        return f"was killed by signal {-status}"


def _after_end(policy: KeepPolicy, keep: Keep, status: int, now: float) -> Step:
    if status == DONE:
        return Step(_over(keep, now, DONE), line=f"{describe(status)} and is not started again.")
    if status == MISCONFIGURED:
        given_up = f"{describe(status)}: its configuration must be mended first; nmd gives up."
        return Step(_over(keep, now, MISCONFIGURED), line=given_up)
    why = f"{describe(status)} after {now - keep.since:.1f} s"
    if status == REFUSED:
        why += " (perhaps it runs already)"
    return _again(policy, keep, now, why)


def _again(policy: KeepPolicy, keep: Keep, now: float, why: str) -> Step:
    delay = next_delay(policy, keep.delay_seconds, now - keep.since)
    waiting = Keep(Phase.WAITING, since=now, due=now + delay, delay_seconds=delay)
    return Step(waiting, line=f"{why}; next start in {delay:g} s.")


def next_delay(policy: KeepPolicy, last_seconds: float, ran_seconds: float) -> float:
    """Return the pause before the next start: doubled each time, short again after a steady run."""
    if not last_seconds or ran_seconds >= policy.steady_after_seconds:
        return policy.first_delay_seconds
    return min(2 * last_seconds, policy.longest_delay_seconds)


def _over(keep: Keep, now: float, exit_code: int) -> Keep:
    return replace(keep, phase=Phase.OVER, since=now, due=inf, exit_code=exit_code)
