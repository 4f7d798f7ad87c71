"""Keeps one daemon alive: carries out what `policy` decides.

One thread, one wait: signals, the daemon's end and its words all wake the same selector, and the
time-out is the next moment that matters. Nothing is polled, nothing sleeps.

The laws: only the daemon itself is ever signalled, so guests that a node manager has started live
on; the pipe with its words is always emptied, so the daemon never waits for the log.
"""

import selectors
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path

from tashi.supervisor import signals
from tashi.supervisor.background import Verdict
from tashi.supervisor.child import Child
from tashi.supervisor.logbook import LogBook
from tashi.supervisor.oom import OomShield
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
    fresh,
)
from tashi.supervisor.words import Words


@dataclass(frozen=True, slots=True)
class Daemon:
    """What is kept: a name for the log, a command line, and the folder it is started in.

    The daemon must stay in the foreground: its going into the background would look like its end.
    """

    name: str
    command: tuple[str, ...]
    folder: Path


class Keeper:
    """Keeps one daemon, once: a keeper whose `run` has returned is used up."""

    def __init__(self, daemon: Daemon, policy: KeepPolicy, log: LogBook, shield: OomShield) -> None:
        self._daemon = daemon
        self._policy = policy
        self._log = log
        self._shield = shield
        self._words = Words(log)
        self._selector = selectors.DefaultSelector()
        self._child: Child | None = None

    def run(self) -> Verdict:
        """Keep the daemon until it is to stop, ends by itself or proves misconfigured.

        Returns the exit code and, when the daemon was given up, why and its last words. Must be
        called on the main thread of a process with no other: that is where signals arrive.
        """
        # An ignored SIGCHLD may be inherited, and then the kernel forgets how children end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if warning := self._shield.put_up():
            self._log.say(warning, "WARNING")
        watched = signals.as_bytes(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with closing(self._words), self._selector, watched as arriving:
            self._selector.register(self._words.hearing, selectors.EVENT_READ, self._hear)
            self._selector.register(arriving, selectors.EVENT_READ, lambda: self._heed(arriving))
            return self._keep()

    def _keep(self) -> Verdict:
        keep = fresh(time.monotonic())
        while keep.phase is not Phase.OVER:
            for event in self._wait(keep.due):
                keep = self._follow(keep, event)
        return self._verdict(keep)

    def _wait(self, due: float) -> Iterator[Event]:
        timeout = None if due == inf else max(0.0, due - time.monotonic())
        for source, _ in self._selector.select(timeout):
            yield from source.data()
        yield TimePassed()

    def _follow(self, keep: Keep, event: Event) -> Keep:
        step = decide(self._policy, keep, event, time.monotonic())
        if step.line:
            level = "ERROR" if step.keep.exit_code else "INFO"
            self._log.say(f"{self._daemon.name} {step.line}", level)
        match step.order:
            case Order.START:
                return self._start(step.keep)
            case Order.TERMINATE:
                self._send(signal.SIGTERM)
            case Order.KILL:
                self._send(signal.SIGKILL)
            case Order.NOTHING:
                pass
        return step.keep

    def _start(self, keep: Keep) -> Keep:
        self._words.forget()
        try:
            with self._shield.lowered():
                child = Child(self._daemon.command, self._daemon.folder, self._words.speaking)
        except OSError as error:
            return self._follow(keep, CannotStart(f"{error.filename}: {error.strerror}"))
        self._selector.register(child.descriptor, selectors.EVENT_READ, lambda: self._bury(child))
        self._child = child
        self._log.say(f"{self._daemon.name} started with pid {child.pid}.")
        return keep

    def _send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    def _hear(self) -> Iterable[Event]:
        self._words.relay()
        return ()

    def _heed(self, arriving: int) -> Iterator[Event]:
        for number in signals.arrived(arriving):
            if number is signal.SIGHUP and self._log.path is not None:
                self._log.reopen()
            elif number is signal.SIGUSR1:
                self._send(number)  # the daemon's log is to say more, or less again
            else:  # without a file to open anew, SIGHUP says that the terminal is gone
                yield StopAsked(f"nmd got {number.name}")

    def _bury(self, child: Child) -> Iterable[Event]:
        self._words.finish()
        self._selector.unregister(child.descriptor)
        self._child = None
        return (Ended(child.reap()),)

    def _verdict(self, keep: Keep) -> Verdict:
        if not keep.exit_code:
            return Verdict(keep.exit_code)
        given_up = f"nmd gives up keeping {self._daemon.name}; its last words:\n"
        return Verdict(keep.exit_code, given_up + self._words.remembered())
