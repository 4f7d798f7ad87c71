"""One guest of the simulated hypervisor, and what can be read off it."""

from dataclasses import dataclass, replace
from typing import Final

from tashi.domain.engine import HOST_CPU, Engine, Hardware
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending, Progress
from tashi.domain.identity import InstanceId, VmId
from tashi.ports.hypervisor import Found, FoundGuest, GuestSpec, Running

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SimulatedGuest:
    """A guest: alive while it has a process; its folder and disks stay until it is cleared."""

    spec: GuestSpec
    vm_id: VmId | None
    frozen: bool = False
    how: Ending = Ending.CRASHED
    writes: int = 0
    since: float = 0.0
    console: bytes = b""
    receiving: bool = False
    incoming: str = ""
    left: bool = False

    @property
    def runs(self) -> bool:
        """Whether its vCPUs run."""
        return self.vm_id is not None and not self.frozen


def half_of(guest: SimulatedGuest) -> Progress:
    """How far a move or a save is when half of it is done."""
    total = guest.spec.memory * _MIB
    return Progress(done=total // 2, total=total, rate=float(total), words="memory")


def found(key: InstanceId, guest: SimulatedGuest) -> FoundGuest:
    """What a node manager that starts finds of it."""
    if guest.left or guest.receiving:
        state = Found.LEFT if guest.left else Found.RECEIVING
        return FoundGuest(key, guest.spec.attempt, state)
    if guest.vm_id is None:
        return FoundGuest(key, guest.spec.attempt, Found.GONE, how=guest.how)
    state = Found.FROZEN if guest.frozen else Found.RUNNING
    return FoundGuest(key, guest.spec.attempt, state, running_of(guest.vm_id, guest.spec))


def check_free(left: SimulatedGuest | None) -> SimulatedGuest | None:
    """What is left of an earlier guest; raises HypervisorFailed when it lives."""
    if left is not None and left.vm_id is not None:
        raise HypervisorFailed(f"Instance {left.spec.instance_id} has a guest here already.")
    return left


def running_of(vm_id: VmId, spec: GuestSpec) -> Running:
    """How others see a guest that runs."""
    return Running(vm_id, spec.nics, spec.hardware)


def equipped(spec: GuestSpec, engine: Engine) -> GuestSpec:
    """The guest with what it was booted on, which is what there is here if it begins here."""
    booted = Hardware(
        machine=engine.machines[-1],
        cpu=spec.hints.get("cpumodel", HOST_CPU),
        accel=engine.accel,
        qemu=engine.qemu,
        processor=engine.processor,
        backend=engine.backend,
    )
    return replace(spec, hardware=replace(spec.hardware or booted, qemu=engine.qemu))
