"""What a domain does, or how it ended, by libvirt's word."""

from enum import Enum, auto
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
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: "One of its disks cannot be read or written.",
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "Its watchdog has bitten.",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "Its operating system has crashed.",
}
_STOPPED: Final = "It was stopped through libvirt."


def what_it_does(domain: Domain | None) -> tuple[Doing, str]:
    """What that domain does, and why it stands if it does; raises libvirtError."""
    if domain is None:
        return Doing.ENDED, ""
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return _GONE.get(reason, Doing.ENDED), ""
    if state in _STANDING:
        return Doing.STANDS, _WHY_IT_STANDS.get(reason, _STOPPED)
    return Doing.RUNS, ""
