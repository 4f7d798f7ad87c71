"""The client's way to the cluster manager: at the first knock somebody answers, or nobody is there.

Later calls are patient, so that a long wait outlives a restart of the cluster manager. The first
is not: whoever typed a command wants to know at once that nobody listens, and what to do about it.
"""

from collections.abc import Callable
from typing import Protocol

from tashi.domain.errors import PeerSilent
from tashi.wire.calls import Link

_UNREACHED = "no"


class Way(Link, Protocol):
    """A link that knows whether a password may be sent over it."""

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is said."""
        ...


class Door:
    """A link that is made when it is first needed, and gives up at once if nobody is there."""

    def __init__(self, make: Callable[[], Way]) -> None:
        self._make = make
        self._link: Way | None = None
        self._knocked = False

    @property
    def was_used(self) -> bool:
        """Whether anything was asked."""
        return self._knocked

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is said."""
        return self._way().private

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer; raises PeerSilent."""
        link = self._way()
        if not self._knocked:
            self._knocked = True
            try:
                return link.call(request, timeout_seconds)
            except PeerSilent as silent:
                if silent.about.get("sent") == _UNREACHED:
                    raise _nobody(silent) from silent
                if not repeatable:
                    raise
        return link.call(request, timeout_seconds, repeatable=repeatable)

    def _way(self) -> Way:
        if self._link is None:
            self._link = self._make()
        return self._link


def _nobody(silent: PeerSilent) -> PeerSilent:
    return PeerSilent(
        f"No cluster manager answers. {silent.message} If none runs there, start clustermanager, "
        "or say where one does with TASHI_CM_HOST and TASHI_CM_PORT, or with clusterManagerHost "
        "and clusterManagerPort in the section [Client] of Client.cfg.",
        **silent.about,
    )
