"""The client's way to the cluster manager: at the first knock somebody answers, or nobody is there.

Later calls are patient, so that a long wait outlives a restart of the cluster manager. The first
is not: whoever typed a command wants to know at once that nobody listens, and what to do about it.
"""

from collections.abc import Callable

from tashi.domain.errors import PeerSilent
from tashi.wire.calls import Link

_UNREACHED = "no"


class Door:
    """A link that is made when it is first needed, and gives up at once if nobody is there."""

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make
        self._link: Link | None = None

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer; raises PeerSilent."""
        if self._link is None:
            self._link = self._make()
            try:
                return self._link.call(request, timeout_seconds)
            except PeerSilent as silent:
                if silent.about.get("sent") == _UNREACHED:
                    raise _nobody(silent) from silent
                if not repeatable:
                    raise
        return self._link.call(request, timeout_seconds, repeatable=repeatable)


def _nobody(silent: PeerSilent) -> PeerSilent:
    return PeerSilent(
        f"No cluster manager answers. {silent.message} If none runs there, start clustermanager, "
        "or say where one does with TASHI_CM_HOST and TASHI_CM_PORT, or with clusterManagerHost "
        "and clusterManagerPort in the section [Client] of Client.cfg.",
        **silent.about,
    )
