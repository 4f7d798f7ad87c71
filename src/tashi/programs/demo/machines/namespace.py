"""One pretended machine's namespaces: made, found again by name, entered, and removed.

The network namespace has a name that `ip netns` shows. The mount and UTS namespaces belong to a
process that does nothing but hold them; it is started last, so a machine with a holder is whole,
and one without is rubble of a crash. Mounts end with the last process that sees them.
"""

import ctypes
import os
import select
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tashi.domain.errors import Failed
from tashi.ports.commands import Commands

NAMED: Final = Path("/run/netns")
_PROC: Final = Path("/proc")
_HOLDER: Final = b"sleep\0infinity\0"
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET: Final = 0x40000000
_SECONDS: Final = 20.0
_DEATH_SECONDS: Final = 5.0

# Words: the machine's name, a folder with files for its /etc, an empty folder for the layer of its
# own over everybody's /etc, then pairs of a folder and where it is seen. The layer is in memory, so
# nothing of it is left.
_SET_UP: Final = """
set -e
hostname "$1"
layer=$3
mount -t tmpfs -o mode=700 etc "$layer"
mkdir -m 755 "$layer/upper" "$layer/work"
cp -a "$2/." "$layer/upper"
mount -t overlay -o "lowerdir=/etc,upperdir=$layer/upper,workdir=$layer/work" etc /etc
shift 3
while [ $# -gt 0 ]; do
    mount --bind "$1" "$2"
    shift 2
done
setsid sleep infinity </dev/null >/dev/null 2>&1 &
until grep -q sleep "/proc/$!/comm"; do :; done
"""


class Namespace:
    """The namespaces of one machine, known by the name of the first."""

    def __init__(self, name: str, commands: Commands) -> None:
        self.name = name
        self._commands = commands

    def make(self) -> None:
        """Make the network namespace, with nothing in it but loopback; raises CommandFailed."""
        self._run("ip", "netns", "add", self.name)
        self._run("ip", "-n", self.name, "link", "set", "lo", "up")

    def hold(self, machine: str, etc: Path, layer: Path, seen: Mapping[Path, Path]) -> None:
        """Give it a host name and mounts of its own, and keep them; raises CommandFailed.

        The files in `etc` go over those of /etc; `layer` is an empty folder for that. `seen` says
        for each folder where the machine sees it.
        """
        folders = [str(path) for pair in seen.items() for path in pair]
        # Unchanged from what ip makes it: what is unmounted outside is not kept mounted in here.
        alone = ["unshare", "--mount", "--uts", "--propagation", "unchanged"]
        setting_up = ["sh", "-c", _SET_UP, "sh", machine, str(etc), str(layer)]
        self._run("ip", "netns", "exec", self.name, *alone, *setting_up, *folders)

    def is_whole(self) -> bool:
        """Whether it was made to the end and still stands."""
        return self._holder() is not None

    def inside(self) -> list[str]:
        """The words before a command that make it run in here; raises Failed without a holder.

        A command that runs so starts in the folder /.
        """
        holder = self._holder()
        if holder is None:
            raise Failed(f"The pretended machine {self.name} does not stand any more.")
        return ["nsenter", "--target", str(holder), "--net", "--mount", "--uts", "--"]

    def run(self, *command: str) -> str:
        """Run a command in here and return what it says; raises Failed or CommandFailed."""
        return self._run(*self.inside(), *command)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread make its sockets in here; those stay in here. Raises OSError."""
        with Path("/proc/thread-self/ns/net").open() as before, (NAMED / self.name).open() as there:
            _set_network(there.fileno())
            try:
                yield
            finally:
                _set_network(before.fileno())

    def processes(self) -> dict[int, str]:
        """All that runs in here, with its command."""
        return {process: _command(process).decode(errors="replace") for process in self._found()}

    def kill(self) -> None:
        """End everything in here, which leaves it without its mounts; raises Failed."""
        while found := list(self._found()):
            for process in found:
                _end(process)

    def remove(self) -> None:
        """End everything in here and remove it; harmless when there is nothing."""
        self.kill()
        if (NAMED / self.name).exists():
            self._run("ip", "netns", "delete", self.name)

    def _holder(self) -> int | None:
        return next((each for each in self._found() if _command(each) == _HOLDER), None)

    def _found(self) -> Iterator[int]:
        try:
            ours = (NAMED / self.name).stat()
        except FileNotFoundError:
            return
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it has ended meanwhile
                    theirs = (entry / "ns/net").stat()
                    if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                        yield int(entry.name)

    def _run(self, *command: str) -> str:
        return self._commands.run(command, timeout_seconds=_SECONDS)


def _set_network(descriptor: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _command(process: int) -> bytes:
    try:
        return (_PROC / str(process) / "cmdline").read_bytes()
    except OSError:
        return b""


def _end(process: int) -> None:
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        ended, _, _ = select.select([handle], [], [], _DEATH_SECONDS)
    finally:
        os.close(handle)
    if not ended:
        raise Failed(f"Process {process} does not end, not even by SIGKILL.")
