"""What a domain does, or how it ended, by libvirt's word."""

from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Domain


class Doing(Enum):
    """What a domain does."""

    RUNS = auto()
    STANDS = auto()
    POWERED_OFF = auto()
    SAVED = auto()
    MOVED = auto()
    ENDED = auto()
    """Nobody knows why, or it was destroyed."""


LIVING: Final = {Doing.RUNS, Doing.STANDS}

_STANDING: Final = {
    libvirt.VIR_DOMAIN_PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED,
    libvirt.VIR_DOMAIN_CRASHED,
}
_GONE: Final = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: Doing.POWERED_OFF,
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: Doing.SAVED,
    libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED: Doing.MOVED,
}
_WHY_IT_STANDS: Final = {
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "Its watchdog has bitten.",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "Its operating system has crashed.",
}
_BEING_MADE: Final = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
_PROC: Final = Path("/proc")
_STOPPED: Final = "It was stopped through libvirt."
_DISK_TROUBLE: Final = "One of its disks cannot be read or written"
_NO_SPACE: Final = "No space left on device"


def what_it_does(domain: Domain | None) -> tuple[Doing, str]:
    """What that domain does, and why it stands if it does; raises libvirtError."""
    if domain is None:
        return Doing.ENDED, ""
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return _GONE.get(reason, Doing.ENDED), ""
    if state in _STANDING:
        if never_comes(domain):
            return Doing.ENDED, ""
        if reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
            return Doing.STANDS, _disk_trouble(domain)
        return Doing.STANDS, _WHY_IT_STANDS.get(reason, _STOPPED)
    return Doing.RUNS, ""


def never_comes(domain: Domain) -> bool:
    """Whether a domain is only being made, without a process that it could come to life in.

    So it is for a moment while libvirtd starts it; and for good, with a lock that nobody gets, if
    libvirtd was killed then (9.0.0: it finds no process to connect to again, and stops there).
    """
    if tuple(domain.state()) != _BEING_MADE:
        return False
    named = b"\0-uuid\0%b\0" % domain.UUIDString().encode()
    return not any(named in _command_of(process) for process in _PROC.glob("[0-9]*"))


def _command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def _disk_trouble(domain: Domain) -> str:
    """What is wrong with its disks, as far as libvirt can tell that."""
    with suppress(libvirt.libvirtError):  # something is being done with it
        if libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in domain.diskErrors().values():
            return f"{_DISK_TROUBLE}: {_NO_SPACE}."
    return f"{_DISK_TROUBLE}."
