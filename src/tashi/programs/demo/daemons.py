"""The processes of a demo: its daemons, each kept alive by an nmd of its own, and its guests.

Normally each nmd is asked to stop, and stops its daemon. Whatever was killed meanwhile, nothing is
left running in the end: every process of the demo carries the demo's configuration folder in its
environment, and by that the rest is found and killed. (What runs on pretended machines goes with
those.)
"""

import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.domain.errors import CommandFailed, Failed, Misconfigured
from tashi.ports.commands import Commands
from tashi.programs.demo.place import Place
from tashi.settings.search import FOLDERS_VARIABLE

DAEMONS: Final = ("clustermanager", "nodemanager", "scheduler")
_KEPT: Final = {"nmd", *DAEMONS}
_QEMU: Final = "qemu-system-"
_PATIENCE_SECONDS: Final = 120.0
_DEATH_SECONDS: Final = 5.0
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a daemon runs: `under` is what goes before its command, `name` is its log's."""

    daemon: str
    name: str
    under: tuple[str, ...] = ()


HERE: Final = tuple(Seat(daemon, daemon) for daemon in DAEMONS)
"""All of a demo of one machine."""


class Daemons:
    """The daemons of a demo, in the order in which they are stopped last to first."""

    def __init__(self, place: Place, commands: Commands, seats: Sequence[Seat] = HERE) -> None:
        self._place = place
        self._commands = commands
        self._seats = seats

    def start(self) -> None:
        """Start what does not run; raises Failed with the daemon's own words.

        Side by side, because each nmd stays for a moment to see whether its daemon gives up.
        """
        with ThreadPoolExecutor(len(self._seats)) as starters:
            for _ in starters.map(self._start, self._seats):
                pass

    def stop(self) -> list[str]:
        """Stop all of them, then kill what is left of the demo; say what did not go its way."""
        troubles = []
        for seat in reversed(self._seats):
            if not self._pid_file(seat).exists():
                continue  # stopped before, or never started
            try:
                self._nmd(seat, ["--stop"])
            except CommandFailed as error:
                troubles.append(error.message)
        strays = self._kill_strays()
        return [*troubles, *(f"{stray} was left and is killed." for stray in strays)]

    def _start(self, seat: Seat) -> None:
        log = self._place.home / "log" / f"{seat.name}.log"
        try:
            self._nmd(seat, ["--log", str(log), seat.daemon])
        except CommandFailed as error:
            if "keeps this daemon already" not in error.message:
                raise Failed(
                    f"The {seat.name} does not start; see {log}. {error.message}"
                ) from error

    def _nmd(self, seat: Seat, arguments: Sequence[str]) -> None:
        self._commands.run(
            [*seat.under, program("nmd"), "--pid-file", str(self._pid_file(seat)), *arguments],
            timeout_seconds=_PATIENCE_SECONDS,
            folder=str(self._place.checkout),
        )

    def _pid_file(self, seat: Seat) -> Path:
        return self._place.home / "run" / f"{seat.name}.pid"

    def _kill_strays(self) -> list[str]:
        """Kill until nothing is found: what an nmd kept may come back while it lives."""
        killed: set[str] = set()
        while found := list(_marked_by(self._place.config.parent)):
            for name, process in found:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                ended, _, _ = select.select([process], [], [], _DEATH_SECONDS)
                os.close(process)
                if not ended:
                    raise Failed(f"{name} does not end, not even by SIGKILL.")
                killed.add(name)
        return sorted(killed)


def program(name: str) -> str:
    """The program installed beside this Python, or else the one on PATH; raises Misconfigured."""
    beside = Path(sys.executable).absolute().parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        raise Misconfigured(f"There is no program {name}: run make first.")
    return found


def _marked_by(folder: Path) -> Iterator[tuple[str, int]]:
    """The name and a pidfd of each nmd, daemon and guest that reads its configuration there."""
    mark = os.fsencode(f"{FOLDERS_VARIABLE}={folder}")
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError), ExitStack() as opened:  # ended meanwhile, or another user's
            process = os.pidfd_open(int(entry.name))
            opened.callback(os.close, process)
            name = _name_of(entry)
            if name and mark in (entry / "environ").read_bytes().split(b"\0"):
                opened.pop_all()
                yield f"{name} (process {entry.name})", process


def _name_of(entry: Path) -> str:
    """The name of a process that can be ours (a script is run by Python), else nothing."""
    words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")[:2]
    names = [Path(word).name for word in words]
    return next((name for name in names if name in _KEPT or name.startswith(_QEMU)), "")
