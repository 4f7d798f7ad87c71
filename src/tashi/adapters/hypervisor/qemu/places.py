"""Where everything that belongs to one guest is: names only, nothing is read or written here.

A guest has one folder, `<infoDir>/<instance id>`; its overlays lie in a folder of `scratchDir` that
is this node's own, so that two nodes on one machine never meet in it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured
from tashi.domain.identity import InstanceId

_LONGEST_SOCKET: Final = 107
"""sun_path holds 108 bytes with the zero at its end: unix(7)."""
_LONGEST_ID: Final = 10


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one guest."""

    folder: Path

    @property
    def record(self) -> Path:
        """What the node remembers of it, as JSON for people to read."""
        return self.folder / "record.json"

    @property
    def departure(self) -> Path:
        """Whether a guest that is being sent has left."""
        return self.folder / "departure"

    @property
    def lock(self) -> Path:
        """Locked for as long as there is a QEMU or one may yet begin."""
        return self.folder / "lock"

    @property
    def pid_file(self) -> Path:
        """Written by QEMU; naming it on its command line also marks the process as this guest's."""
        return self.folder / "pid"

    @property
    def monitor(self) -> Path:
        """The QMP socket of the node manager: QEMU talks to one client at a time."""
        return self.folder / "qmp.sock"

    @property
    def human_monitor(self) -> Path:
        """A second QMP socket, for people and their tools."""
        return self.folder / "human.sock"

    @property
    def console(self) -> Path:
        """The serial console, to talk to."""
        return self.folder / "console.sock"

    @property
    def agent(self) -> Path:
        """Where the guest's own agent answers, if it has one."""
        return self.folder / "agent.sock"

    @property
    def console_log(self) -> Path:
        """All that the serial console ever said."""
        return self.folder / "console.log"

    @property
    def screen(self) -> Path:
        """Where the display can be seen, if it is shown on a socket."""
        return self.folder / "vnc.sock"

    @property
    def log(self) -> Path:
        """QEMU's own words, once it is on its own."""
        return self.folder / "qemu.log"


@dataclass(frozen=True, slots=True)
class Premises:
    """The folders of all guests of one node."""

    info: Path
    scratch: Path

    def __post_init__(self) -> None:
        longest = Places(self.info / ("9" * _LONGEST_ID)).console
        if len(bytes(longest)) > _LONGEST_SOCKET:
            spare = len(str(longest)) - len(str(self.info))
            raise Misconfigured(
                f"infoDir {self.info} is too long for the sockets in it: at most "
                f"{_LONGEST_SOCKET - spare} characters."
            )

    def of(self, guest: InstanceId) -> Places:
        """The paths of that guest."""
        return Places(self.info / str(guest))

    @property
    def overlays(self) -> Path:
        """This node's folder in `scratchDir`."""
        tag = hashlib.sha256(bytes(self.info)).hexdigest()[:8]
        return self.scratch / f"tashi-{tag}"

    def disk(self, guest: InstanceId, part: str) -> Path:
        """What the guest writes to that disk: an overlay, or its scratch disk."""
        return self.overlays / f"{guest}.{part}.qcow2"
