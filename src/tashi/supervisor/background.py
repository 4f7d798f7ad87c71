"""Going into the background without losing what is said in the first moments.

A program that detaches at once cannot tell its caller that the configuration was wrong. So the
launcher stays for a moment: if the work is over by then, its verdict becomes the launcher's own;
if not, the work goes on and the launcher reports success.

The process must have one thread only: a fork copies no other.
"""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

FAILED = 3
STANDARD = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a piece of work ended: its exit code, and words for whoever started it."""

    exit_code: int
    words: str = ""


def in_background(work: Callable[[], Verdict], patience_seconds: float) -> Verdict:
    """Run the work in a process of its own session in `/`; return its verdict if it ends soon.

    Only the launcher returns; the background process exits with the verdict's code.
    """
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(reading)
        _detach()
        _work_and_exit(work, writing)
    os.close(writing)
    with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel has buried it
        os.waitpid(first, 0)
    with os.fdopen(reading, "rb") as verdict:
        ready, _, _ = select.select([verdict], [], [], patience_seconds)
        return _parse(verdict.read()) if ready else Verdict(0)


def fill_standard_descriptors() -> None:
    """Give standard descriptors that the caller has closed to /dev/null.

    Otherwise the next file that is opened gets such a number, and is written to by mistake.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) in STANDARD:
        pass
    os.close(null)


def _detach() -> None:
    os.setsid()
    if os.fork():  # not a session leader any more: no terminal can become ours again
        os._exit(0)
    os.chdir("/")
    _let_go_of_the_callers_files()


def _let_go_of_the_callers_files() -> None:
    """Close what was inherited, so that nobody waits for the end of a pipe that we hold open.

    Files that Python opens are closed on exec; those without that mark came from the caller.
    """
    with os.scandir("/proc/self/fd") as entries:
        descriptors = [int(entry.name) for entry in entries]
    for descriptor in descriptors:
        with suppress(OSError):  # the folder's own descriptor is closed by now
            if os.get_inheritable(descriptor):
                os.close(descriptor)
    fill_standard_descriptors()


def _work_and_exit(work: Callable[[], Verdict], writing: int) -> NoReturn:
    exit_code = FAILED
    try:
        verdict = work()
        exit_code = verdict.exit_code
        os.write(writing, bytes([exit_code]) + verdict.words.encode())
    finally:  # whatever happened: the launcher's stack must not be unwound twice
        os._exit(exit_code)


def _parse(report: bytes) -> Verdict:
    if not report:
        return Verdict(FAILED, "nmd died before it could keep anything; its log may say why.\n")
    return Verdict(report[0], report[1:].decode(errors="replace"))
