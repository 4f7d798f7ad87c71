"""How every daemon is run: settings, logging, signals, the loop, the end.

The loop is the only place where a daemon waits. SIGTERM and SIGINT ask it to end; `stop` then lets
go of everything in order, once there is something to let go of. SIGUSR1 lets its log say more, or
less again, and disturbs nothing else. A mistake that nobody foresaw is logged here once and ends
the program, so that whatever keeps it alive can begin anew from what is durable.
"""

import argparse
import gc
import logging
import logging.config
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from tashi import __version__
from tashi.domain.errors import Failed, Misconfigured, Refused, TashiError
from tashi.programs import firststeps, heldlines, signals
from tashi.programs.loglines import Verbosity, leave_out_the_unsaid
from tashi.programs.printing import print_out, take_any_text
from tashi.settings.load import Settings, load
from tashi.settings.search import Program
from tashi.settings.show import as_json, as_text

_log = logging.getLogger("tashi")

TICK_SECONDS: Final = 1.0
_OBJECTS_BETWEEN_LOOKS: Final = 10_000
"""How many may come before Python looks for garbage among them; its own 700 come in seven calls."""
DONE, REFUSED, MISUSED, FAILED = range(4)
INTERRUPTED: Final = 130
_CODES: Final = ((Refused, REFUSED), (Misconfigured, MISUSED), (Failed, FAILED))


class Daemon(Protocol):
    """What the loop asks of a daemon."""

    def turn(self, wait_seconds: float) -> None:
        """Wait for something to do, at most so long, and do it."""
        ...

    def tick(self) -> None:
        """Do what time brings; called about once a second."""
        ...

    def wake(self) -> None:
        """Let a waiting turn return, because the loop ends; called in another thread than it."""
        ...

    def stop(self) -> None:
        """Let go of everything."""
        ...


def exit_code(error: TashiError) -> int:
    """The exit code that tells a caller what to do about an error."""
    return next((code for family, code in _CODES if isinstance(error, family)), FAILED)


def run(
    name: str,
    words: str,
    program: Program,
    build: Callable[[Settings], Daemon],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a daemon until it is told to end; returns its exit code."""
    take_any_text()
    asked = _parser(name, words).parse_args(argv)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is a log that could say more
    try:
        settings = load(program, os.environ)
        if asked.show_settings:
            print_out(as_json(settings) if asked.output == "json" else as_text(settings))
            return DONE
        _set_up_logging(settings)
        firststeps.watch_over(name, FAILED)
        told = _Told()
        signals.heed(told.hear, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        told.daemon = daemon = build(settings)
        settle_memory()
    except TashiError as error:
        print(f"{name}: {error.message}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:  # of what the machine lacks, such as descriptors
        where = f" ({error.filename})" if error.filename else ""
        print(f"{name}: It cannot begin: {error.strerror or error}{where}.", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:  # before signals are heeded
        return INTERRUPTED
    return _loop(name, daemon, told)


def settle_memory() -> None:
    """Look no more for garbage in what is there now.

    What was loaded stays, and no cycle runs through it; to look for some again and again would hold
    up every thread: 0.2 s each time with 20,000 instances. What comes later is looked through less
    often: that took a seventh of the processor's time under many calls, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)


def _parser(name: str, words: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description=words,
        epilog="Settings come from Tashi.cfg and its companions; --show-settings prints them. "
        "Exit codes: 0 done, 1 refused, 2 misused or misconfigured, 3 failed.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--show-settings",
        action="store_true",
        help="print every setting and which file gave it, and end",
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="the form of --show-settings"
    )
    return parser


def _set_up_logging(settings: Settings) -> None:
    configuration = heldlines.holding(settings.logging())
    try:
        logging.config.dictConfig(configuration)
    except (OSError, ValueError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and cause.filename:
            raise Misconfigured(
                f"Logging cannot be set up as configured: {cause.filename} cannot be written "
                f"({cause.strerror})."
            ) from error
        raise Misconfigured(f"Logging cannot be set up as configured: {cause}.") from error
    leave_out_the_unsaid(str(configuration["formatters"]))
    for warning in settings.warnings:
        _log.warning("%s.", warning)


class _Told:
    """What signals have told so far; `daemon` is woken when it is to end, once there is one."""

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self.ending = threading.Event()
        self._verbosity = Verbosity()

    def hear(self, number: signal.Signals) -> None:
        """Take in a signal, in a thread that is not the daemon's."""
        if number is signal.SIGUSR1:
            self._verbosity.toggle()
            return
        self.ending.set()
        if self.daemon is None:  # what has not begun has promised nothing, and may wait for long
            os._exit(INTERRUPTED if number is signal.SIGINT else DONE)
        self.daemon.wake()


def _loop(name: str, daemon: Daemon, told: _Told) -> int:
    _log.info("%s %s is running.", name, __version__)
    try:
        _turn_until(told.ending, daemon)
    except TashiError as error:
        _log.error("%s ends: %s", name, error)
        return exit_code(error)
    except Exception:  # noqa: BLE001  # the one catch-all of this loop
        _log.exception("%s made a mistake and ends.", name)
        return FAILED
    finally:
        daemon.stop()
    _log.info("%s ends as told.", name)
    return DONE


def _turn_until(ending: threading.Event, daemon: Daemon) -> None:
    due = time.monotonic()
    while not ending.is_set():
        left = due - time.monotonic()
        if left <= 0:
            daemon.tick()
            due = time.monotonic() + TICK_SECONDS
            left = TICK_SECONDS
        daemon.turn(left)
