"""What libvirt does for long: saves and moves, of which people want to know how far they are.

libvirt's call returns at the end. Meanwhile it is asked now and then how far it is, and told to
give up when the time is over or nobody wants it any more. A libvirtd that hung goes on with what it
had begun, though nobody hears how that ends: so it is watched until it is over.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tashi.adapters.hypervisor.libvirt.channel import Domain, Silent
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.progress import progress_of
from tashi.domain.errors import HypervisorFailed

_LOOK_SECONDS: Final = 1.0
_GIVING_UP_SECONDS: Final = 30.0


def carry_out(guest: Guest, job: Callable[[Domain], object], limit_seconds: float) -> None:
    """Do a long job with a guest; raises HypervisorFailed, and then libvirt has given it up.

    Raises Silent where the line broke meanwhile: it is over then, but may have been done.
    """
    deadline = time.monotonic() + limit_seconds
    outcome = guest.begin_job(job)
    told_off = ""
    while not outcome.is_over(_LOOK_SECONDS):
        now = time.monotonic()
        if guest.recalled.is_set() or now > deadline:
            if told_off and now > deadline + _GIVING_UP_SECONDS:
                raise HypervisorFailed(f"{told_off} libvirt does not give it up.")
            told_off = told_off or _why(guest, limit_seconds)
            _tell_off(guest)
        else:
            _tell(guest)
    try:
        outcome.result()
    except Silent:
        _see_out(guest, deadline)
        raise
    except HypervisorFailed as failed:
        raise HypervisorFailed(told_off or str(failed)) from failed


def _see_out(guest: Guest, deadline: float) -> None:
    """Wait until libvirt does nothing more with the guest; raises HypervisorFailed."""
    while guest.is_busy():
        if (now := time.monotonic()) > deadline + _GIVING_UP_SECONDS:
            raise HypervisorFailed("libvirt does not give it up.")
        if guest.recalled.is_set() or now > deadline:
            _tell_off(guest)
        guest.ended.wait(_LOOK_SECONDS)


def _tell_off(guest: Guest) -> None:
    with suppress(HypervisorFailed):  # it has just ended
        guest.of_domain(lambda domain: domain.abortJob())


def _tell(guest: Guest) -> None:
    with suppress(HypervisorFailed):  # it has just ended
        told = guest.of_domain(lambda domain: domain.jobStats())
        if (progress := progress_of(told)) is not None:
            guest.gone_on(progress)


def _why(guest: Guest, limit_seconds: float) -> str:
    if guest.recalled.is_set():
        return "It was called back."
    return f"It took longer than {limit_seconds:g} s."
