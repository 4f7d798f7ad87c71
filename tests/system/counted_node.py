"""A node manager without QEMU that writes down every guest it starts and ends.

    counted_node.py FILE

A line is the host's name, the word, and the instance's number.
"""

import sys
from functools import partial
from pathlib import Path

from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import GuestSpec, Running
from tashi.programs import daemon, nodemanager
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.nodemanager import NodeManagerSettings

STARTED = "started"
KILLED = "killed"


class CountedHypervisor(SimulatedHypervisor):
    """Simulated guests, each start and each end of which is a line in a file."""

    def __init__(self, file: Path, host: str) -> None:
        super().__init__()
        self._file = file
        self._host = host

    def start(self, spec: GuestSpec) -> Running:
        """Start a guest, and write that down."""
        running = super().start(spec)
        self._note(STARTED, spec.instance_id)
        return running

    def kill(self, guest: InstanceId) -> None:
        """Kill a guest, and write that down."""
        self._note(KILLED, guest)
        super().kill(guest)

    def _note(self, word: str, guest: InstanceId) -> None:
        with self._file.open("a") as lines:
            lines.write(f"{self._host} {word} {guest}\n")


def build(file: Path, settings: Settings) -> nodemanager.NodeManagerDaemon:
    """The daemon as its program builds it, with such guests."""
    host = settings.of(NodeManagerSettings).host_name or ""
    return nodemanager.NodeManagerDaemon(settings, hypervisor=CountedHypervisor(file, host))


def main(file: str) -> int:
    """Run until told to end."""
    words = "A node manager that counts."
    made = partial(build, Path(file))
    return daemon.run("nodemanager", words, Program.NODE_MANAGER, made, [])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
