"""Guests as the kernel and their own QEMUs show them: seen from outside, without asking Tashi.

A guest is a QEMU whose command line names a pid file `<infoDir>/<instance>/pid`. Whether its vCPUs
run is asked over its second monitor, which Tashi leaves to people. Under libvirt it is the QEMU of
a domain, which holds the console's log open; there virsh is asked, at the libvirtd in the folder
`LAIR` beside infoDir.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Final, Self

from tashi.domain.instance import PORTS
from tashi.ports.network import card_number

LAIR: Final = "lv"
_MONITOR_SECONDS: Final = 10.0
_VIRSH_SECONDS: Final = 30.0
_SHELL_SECONDS: Final = 120.0
_SILENCE_SECONDS: Final = 1.0
# A shell says more behind its prompt: it asks the terminal where the cursor is.
_PROMPT: Final = re.compile(rb":/# ")
_CARRIED_OUT: Final = re.compile(rb"begun\r\n(.*)ended\r\n", re.DOTALL)
_PID_FILE: Final = re.compile(r"\0-pidfile\0(/[^\0]*/\d+)/pid\0")
_DOMAIN: Final = re.compile(r"\0-name\0guest=tashi-\d+,")
_CORES: Final = re.compile(r"\0-smp\0(?:cpus=)?(\d+)")
_MEMORY: Final = re.compile(r"\0-m\0(?:size=)?(\d+)(k?)")
_LIST_DEVICES: Final = '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}'
_CARDS: Final = {f"net{card_number(port)}": f"nic{port}" for port in range(1, PORTS + 1)}
"""What cards in ports are called: in domains, and where QEMU runs guests alone."""
_STATUS: Final = {"running": "running", "paused": "paused", "pmsuspended": "suspended"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `started` tells it from a later one with the same number."""

    pid: int
    started: int
    command: str

    def __str__(self) -> str:
        return f"{self.pid}: {self.command.replace(chr(0), ' ')[:300]}"

    def is_alive(self) -> bool:
        """Whether it still runs; a dead one that nobody waited for does not."""
        seen = _stat(self.pid)
        return seen is not None and seen[1] == self.started and seen[0] not in "ZX"

    def kill(self) -> None:
        """End it, and wait until it is gone."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    _wait(handle)
            finally:
                os.close(handle)


@dataclass(frozen=True, slots=True)
class Guest:
    """A QEMU with the instance that it belongs to and its folder on its host."""

    process: Process
    instance: int
    folder: Path

    def status(self) -> str:
        """What its monitor says its vCPUs do, such as ``running``; empty without an answer."""
        if self._libvirtd.exists():
            return _STATUS.get(self._virsh("domstate"), "")
        try:
            return str(self._ask("query-status")["status"])
        except (OSError, ValueError):
            return ""

    def size(self) -> tuple[int, int]:
        """The cores and the MiB of memory that its QEMU was started with."""
        cores, memory = _CORES.search(self.process.command), _MEMORY.search(self.process.command)
        assert cores, self.process
        assert memory, self.process
        return int(cores[1]), int(memory[1]) // (1024 if memory[2] else 1)

    def devices(self) -> set[str]:
        """The names of all devices that its QEMU has, whoever runs it."""
        if self._libvirtd.exists():
            answer = json.loads(self._virsh("qemu-monitor-command", _LIST_DEVICES))
            names = {one["name"].removeprefix("ua-") for one in answer["return"]}
            return {_CARDS.get(name, name) for name in names}
        return {one["name"] for one in self._ask("qom-list", path="/machine/peripheral")}

    @property
    def _libvirtd(self) -> Path:
        return self.folder.parents[1] / LAIR / "sock/libvirt-sock"

    def _virsh(self, command: str, *more: str) -> str:
        uri = f"qemu+unix:///system?socket={self._libvirtd}"
        words = ["virsh", "--quiet", "-c", uri, command, f"tashi-{self.instance}", *more]
        try:
            asked = subprocess.run(
                words, capture_output=True, text=True, check=False, timeout=_VIRSH_SECONDS
            )
        except subprocess.TimeoutExpired:  # libvirtd hangs
            return ""
        return asked.stdout.strip()

    def _ask(self, command: str, **arguments: str) -> Any:
        """What its monitor answers; raises OSError or ValueError where there is none."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(_MONITOR_SECONDS)
            monitor.connect(str(self.folder / "human.sock"))
            return _answer(monitor, command, arguments)

    def console(self) -> str:
        """All that its serial console ever said."""
        return (self.folder / "console.log").read_text(errors="replace")

    def carry_out(self, command: str) -> str:
        """What a command says that is typed into the demo guest's shell on the serial console."""
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(_SILENCE_SECONDS)
            console.connect(str(self.folder / "console.sock"))
            # A shell that has just ended may have taken a key with it.
            _said_by(console, _PROMPT, typing=b"\n", again=True)
            # Begun and ended by marks that the shell's echo of the line does not show. It exits by
            # the same line: the prompt of a shell that is about to end would be taken for the next.
            line = f"echo be''gun; {command}; echo en''ded; exit\n".encode()
            said = _said_by(console, _CARRIED_OUT, typing=line)
        return said[1].decode(errors="replace").replace("\r", "")


def processes_naming(folder: Path) -> Iterator[Process]:
    """Every other process whose command line has that folder in it."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        pid = int(entry.name)
        seen = _stat(pid) if f"{folder}/" in command and pid != os.getpid() else None
        if seen is not None and seen[0] not in "ZX":
            yield Process(pid, seen[1], command)


def guests_in(folder: Path) -> list[Guest]:
    """Every guest of the site in that folder, whichever host it is on."""
    return [
        Guest(process, int(own.name), _seen_from_here(folder, process.pid, own))
        for process in processes_naming(folder)
        if (own := _folder_of(process)) is not None
    ]


def _folder_of(process: Process) -> Path | None:
    """What its host calls the folder of the guest that this process is, if it is one."""
    if (named := _PID_FILE.search(process.command)) is not None:
        return Path(named[1])
    if _DOMAIN.search(process.command):
        for one in Path(f"/proc/{process.pid}/fd").glob("*"):
            with suppress(OSError):  # it has ended, or is closed
                if (opened := one.readlink()).name == "console.log":
                    return opened.parent
    return None


def _seen_from_here(site: Path, pid: int, named: Path) -> Path:
    """The folder that a process calls so; pretended machines each have another `own`."""
    own = site / "own"
    if named.is_relative_to(own):
        for machine in (site / "machines").iterdir():
            with suppress(OSError):  # it has ended meanwhile
                if machine.samefile(f"/proc/{pid}/root{own}"):
                    return machine / named.relative_to(own)
    return named


class Watcher:
    """A thread that looks for two guests of one instance until it is left; see `seen_twice`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher")
        self.looks = 0
        self.most = 0
        self.seen_twice: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._look()

    def _look(self) -> None:
        found = defaultdict(list)
        for guest in guests_in(self._folder):
            found[guest.instance].append(guest)
        self.looks += 1
        self.most = max(self.most, len(found))
        for instance, guests in found.items():
            if len(guests) > 1 and _run_at_once(guests):
                self.seen_twice.append(f"instance {instance}: {', '.join(map(_named, guests))}")


def _run_at_once(guests: list[Guest]) -> bool:
    """Whether several run; a process that forks is two for a moment."""
    running = [guest for guest in guests if guest.status() == "running"]
    one_folder = len({guest.folder for guest in guests}) < len(guests)
    if one_folder:  # only one of them can be asked, so look whether both go on living
        sleep(0.3)
        return sum(guest.process.is_alive() for guest in guests) > 1
    again = [guest for guest in running if guest.status() == "running"]
    return len(again) > 1


def _named(guest: Guest) -> str:
    return f"{guest.process.pid} in {guest.folder}"


def _answer(monitor: socket.socket, command: str, arguments: dict[str, str]) -> Any:
    asked: list[tuple[str, dict[str, str]]] = [("qmp_capabilities", {}), (command, arguments)]
    with monitor.makefile("rw") as stream:
        json.loads(stream.readline())
        answer: dict[str, Any] = {}
        for name, given in asked:
            stream.write(json.dumps({"execute": name, "arguments": given}) + "\n")
            stream.flush()
            answer = {}
            while "return" not in answer:
                answer = json.loads(stream.readline())
        return answer["return"]


def _said_by(
    console: socket.socket, wanted: re.Pattern[bytes], *, typing: bytes, again: bool = False
) -> re.Match[bytes]:
    """Type, `again` at each silence, until what is wanted is anywhere in what the console says."""
    said, deadline = b"", monotonic() + _SHELL_SECONDS
    console.sendall(typing)
    while (found := wanted.search(said)) is None:
        assert monotonic() < deadline, f"The guest's console only says {said!r}."
        try:
            piece = console.recv(4096)
        except TimeoutError:
            if again:
                console.sendall(typing)
        else:
            assert piece, f"The console was closed after {said!r}."
            said += piece
    return found


def _stat(pid: int) -> tuple[str, int] | None:
    """The state and the start time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])


def _wait(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll(10_000)
