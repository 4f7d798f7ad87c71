"""What libvirt does for long: saves and moves, of which people want to know how far they are.

libvirt's call returns at the end. Meanwhile it is asked now and then how far it is, and told to
give up when the time is over or, at once, when nobody wants it any more: also while libvirt does
not say how far it is. A libvirtd that hung goes on with what it had begun, though nobody hears how
that ends: so it is watched until it is over.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tashi.adapters.hypervisor.libvirt.channel import Domain, Silent
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.progress import Told, progress_of
from tashi.domain.errors import HypervisorFailed

if TYPE_CHECKING:
    from tashi.adapters.hypervisor.libvirt.link import Call

_LOOK_SECONDS: Final = 1.0
_GIVING_UP_SECONDS: Final = 30.0


def carry_out(
    guest: Guest, job: Callable[[Domain], object], deadline: float, limit_seconds: float
) -> None:
    """Do a long job with a guest; raises HypervisorFailed, and then libvirt has given it up.

    The `deadline`, by the monotonic clock, is that of something which may take so many seconds in
    all. Raises Silent where the line broke meanwhile: it is over then, but may have been done.
    """
    outcome, gauge = guest.begin_job(job), _Gauge(guest)
    outcome.outcome.add_done_callback(lambda _: guest.stirred.set())
    told_off = ""
    while not outcome.is_over(0.0):
        now = time.monotonic()
        if guest.recalled.is_set() or now > deadline:
            if told_off and now > deadline + _GIVING_UP_SECONDS:
                raise HypervisorFailed(f"{told_off} libvirt does not give it up.")
            told_off = told_off or _why(guest, limit_seconds)
            _tell_off(guest)
        else:
            gauge.read(now)
        guest.stirred.wait(_LOOK_SECONDS)
        guest.stirred.clear()
    try:
        outcome.result()
    except Silent:
        _see_out(guest, deadline)
        raise
    except HypervisorFailed as failed:
        raise HypervisorFailed(told_off or str(failed)) from failed


class _Gauge:
    """Tells how far a guest's job is; nobody waits for libvirt's answers, of which some come late.

    It asks one question at a time, and stirs the guest when it is answered.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._question: Call[Told] | None = None
        self._next = time.monotonic() + _LOOK_SECONDS

    def read(self, now: float) -> None:
        """Tell what libvirt has answered, and ask again when it is time."""
        with suppress(HypervisorFailed):  # it has just ended
            if self._question is not None and self._question.is_over(0.0):
                answered, self._question = self._question, None
                if (progress := progress_of(answered.result())) is not None:
                    self._guest.gone_on(progress)
            if self._question is None and now >= self._next:
                self._next = now + _LOOK_SECONDS
                self._question = self._guest.begin_job(lambda domain: domain.jobStats())
                self._question.outcome.add_done_callback(lambda _: self._guest.stirred.set())


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


def _why(guest: Guest, limit_seconds: float) -> str:
    if guest.recalled.is_set():
        return "It was called back."
    return f"It took longer than {limit_seconds:g} s."
