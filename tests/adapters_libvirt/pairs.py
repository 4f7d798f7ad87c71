"""Two machines with a libvirtd each, and a guest that takes long to get from one to the other.

The move is held up by libvirt itself, which sends no more of a guest's memory than it may. Needs
libvirt's library: `make compiled`.
"""

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final

import boot_sectors
from contracts.libvirt_machines import LibvirtMachine
from contracts.machines import Heard, a_spec
from libvirtds import Libvirtd
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
from tashi.domain.identity import Attempt, InstanceId
from tashi.ports.hypervisor import Found

SEVEN: Final = InstanceId(7)
BUSY: Final = a_spec(image="busy.img")
AGAIN: Final = a_spec(image="busy.img", attempt=Attempt(2), keep_disks=True)
PATIENT: Final[dict[str, Any]] = {"migrate_timeout": 200.0}
"""No move fails because the machine is busy."""
_SECONDS: Final = 120.0
_SLOW_MIB: Final = 1
_FAST_MIB: Final = 1000


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that nobody tells."""
    deadline = monotonic() + _SECONDS
    while not holds():
        assert monotonic() < deadline, "It never came."
        Event().wait(0.02)


class Pair:
    """The machines `here` and `there`, and the hypervisors that are opened on them."""

    def __init__(self, stack: ExitStack, daemons: Sequence[Libvirtd], verdict: Path) -> None:
        self._stack = stack
        self.here = LibvirtMachine.made(verdict)
        self.here.daemons = daemons
        stack.callback(self.here.close)
        boot_sectors.dirty(self.here.images / "busy.img")
        self.there = self.here.neighbour()
        stack.callback(self.there.close)
        for daemon in daemons:
            stack.callback(_go_on, daemon)

    def open(self, machine: LibvirtMachine, **different: object) -> Libvirt:
        """A hypervisor, as a node manager that starts would make it; closed in the end."""
        made = machine.open(**{**PATIENT, **different})
        self._stack.callback(made.close)
        made.listen(Heard())
        return made

    def start(self, source: Libvirt) -> None:
        """Start the guest, and wait until it is busy."""
        source.start(BUSY)
        wait_until(lambda: b"B" in source.console(SEVEN, 0, 100)[0])

    def slow_down(self) -> None:
        """Let moves from here take many seconds."""
        self._speed(_SLOW_MIB)

    def hurry(self) -> None:
        """Let a move go on as fast as can be."""
        self._speed(_FAST_MIB)

    def is_crossing(self) -> bool:
        """Whether some of its memory has left here."""
        told = self.here.daemon.virsh("domjobinfo", domain_name(SEVEN)).stdout
        return "Memory processed:" in told and "Memory processed: 0" not in told

    def running(self) -> list[str]:
        """The machines on which the guest runs."""
        return [
            name
            for name, machine in (("here", self.here), ("there", self.there))
            if domain_name(SEVEN)
            in machine.daemon.virsh("list", "--state-running", "--name").stdout.split()
        ]

    def _speed(self, mib: int) -> None:
        done = self.here.daemon.virsh("migrate-setspeed", domain_name(SEVEN), str(mib))
        assert done.returncode == 0, done.stderr


def _go_on(daemon: Libvirtd) -> None:
    daemon.start()
    daemon.send(signal.SIGCONT)


def found(hypervisor: Libvirt) -> list[Found]:
    """What it finds of the guest."""
    return [one.found for one in hypervisor.adopt()]
