"""What runs guests on a host, what a guest was booted on, and whether the two go together.

A guest that is in the middle of its life (it moves, or goes on from saved memory) needs the machine
that it was booted on: the same kind of emulation, the same versioned machine type, a processor with
everything that it has seen, and a QEMU that reads what an older one wrote. A guest that is booted
anew takes what it finds.
"""

import re
from dataclasses import dataclass
from typing import Final

from tashi.domain.identity import HostId

HOST_CPU: Final = "host"
"""The CPU model that is the host's own processor."""
KVM: Final = "kvm"
QEMU: Final = "qemu"
"""The backend of guests that are QEMUs of Tashi's own."""
LIBVIRT: Final = "libvirt"
"""That of guests which libvirt runs."""
_SHOWN: Final = 3
_LEADING: Final = re.compile(r"(\d+)\.(\d+)")
_NUMBERS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a host runs guests with.

    `accel` is kvm or tcg; `machines` are the versioned machine types that its QEMU offers. The last
    three are said under kvm only: which processor it is, what that can do, and which CPU models of
    QEMU it can be in full. The `backend` is what guests are begun by: qemu or libvirt.
    """

    qemu: str
    accel: str
    machines: tuple[str, ...] = ()
    processor: str = ""
    features: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    backend: str = QEMU


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a guest was booted on.

    All but `qemu`, which is the version that it runs in now, stay as they are for as long as the
    guest is not booted anew. `host_id` is where that was.
    """

    machine: str
    cpu: str
    accel: str
    qemu: str
    processor: str = ""
    host_id: HostId | None = None
    backend: str = QEMU


def backend_trouble(hardware: Hardware, engine: Engine) -> str:
    """Why the guest cannot go on there, as far as the backend goes; empty when it can."""
    if engine.backend == hardware.backend:
        return ""
    return (
        f"runs guests by {_named(engine.backend)}, but it was booted by {_named(hardware.backend)}"
    )


def accel_trouble(hardware: Hardware, engine: Engine) -> str:
    """The same for the accelerator."""
    if engine.accel == hardware.accel:
        return ""
    return f"runs guests under {engine.accel}, but it was booted under {hardware.accel}"


def qemu_trouble(hardware: Hardware, engine: Engine) -> str:
    """The same for QEMU's version: a QEMU reads the memory of its equals and elders."""
    theirs, ours = _LEADING.match(engine.qemu), _LEADING.match(hardware.qemu)
    if theirs is None or ours is None or _pair(theirs) >= _pair(ours):
        return ""
    return f"has QEMU {engine.qemu}, which is older than {hardware.qemu}, in which it runs"


def machine_trouble(hardware: Hardware, engine: Engine) -> str:
    """The same for the machine type."""
    if not engine.machines or hardware.machine in engine.machines:
        return ""
    newest = max(engine.machines, key=_as_numbers)
    return (
        f"does not offer machine type {hardware.machine}, which it was booted on; its newest is "
        f"{newest}"
    )


def cpu_trouble(hardware: Hardware, engine: Engine, booted_on: Engine | None) -> str:
    """The same for the processor; `booted_on` is what its first host has now, if there is one."""
    if hardware.accel != KVM or engine.processor == hardware.processor:
        return ""
    if hardware.cpu != HOST_CPU and hardware.cpu in engine.models:
        return ""
    known = booted_on is not None and booted_on.processor == hardware.processor
    if booted_on is None or not known:
        return f"has the processor {engine.processor}, and it was booted on {hardware.processor}"
    if engine.processor.split()[:1] != hardware.processor.split()[:1]:
        return f"has a processor of another maker than {hardware.processor}, which it was booted on"
    missing = sorted(set(booted_on.features) - set(engine.features))
    if not missing:
        return ""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"has a processor without {', '.join(missing[:_SHOWN])}{more}, which it was booted with"


def _named(backend: str) -> str:
    return "QEMU alone" if backend == QEMU else backend


def _pair(found: re.Match[str]) -> tuple[int, int]:
    return int(found[1]), int(found[2])


def _as_numbers(machine: str) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(machine)]
