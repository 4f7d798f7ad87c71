"""Lets requests in to a service, and says in its log who speaks a version that it does not.

The caller is told with every request; the log would be full of it, so there each caller of each
version is named once. How long each call took is measured, and a log that says everything has a
line for it.
"""

import logging
import time
from concurrent.futures import Future
from functools import partial
from typing import Final

from tashi.domain.errors import Refused, TashiError, VersionMismatch
from tashi.domain.metrics import CALLS
from tashi.ports.metrics import Meter, Unwatched
from tashi.ports.peers import Peer
from tashi.wire import envelope
from tashi.wire.serving import Desk

_log = logging.getLogger(__name__)

_MOST_NAMED: Final = 1000


class Doorman:
    """Stands before one desk; safe to use from several threads."""

    def __init__(self, desk: Desk, meter: Meter) -> None:
        self._desk = desk
        self._meter = meter
        self._watched = not isinstance(meter, Unwatched)
        self._named: set[tuple[str, object]] = set()

    def answer(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        """Have the desk answer; raises what it raises."""
        if self._watched or _log.isEnabledFor(logging.DEBUG):
            return self._timed(request, peer)
        return self._answered(request, peer)

    def _answered(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        try:
            return self._desk.answer(request, peer)
        except VersionMismatch as mismatch:
            self._name(peer, mismatch)
            raise

    def _timed(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        _, call = envelope.glance(request)
        over = partial(self._over, call, peer, time.monotonic())
        try:
            answer = self._answered(request, peer)
        except TashiError as error:
            over(error)
            raise
        if isinstance(answer, Future):
            answer.add_done_callback(lambda done: over(_error_of(done)))
        else:
            over(None)
        return answer

    def _over(self, call: str, peer: Peer, began: float, error: BaseException | None) -> None:
        taken = time.monotonic() - began
        outcome = _outcome(error)
        # A stranger's word for a call must not become a label: there would be no end of them.
        self._meter.took(CALLS, taken, call if call in self._desk.calls else "unknown", outcome)
        why = "" if error is None else f": {error}"
        _log.debug("%s from %s, %.1f ms: %s%s", call, peer, taken * 1000, outcome, why)

    def _name(self, peer: Peer, mismatch: VersionMismatch) -> None:
        key = (peer.host, mismatch.about.get("theirs"))
        if key not in self._named and len(self._named) < _MOST_NAMED:
            self._named.add(key)
            _log.warning("A caller at %s was refused: %s", peer, mismatch)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "answered"
    return "refused" if isinstance(error, Refused) else "failed"


def _error_of(done: "Future[bytes]") -> BaseException | None:
    return None if done.cancelled() else done.exception()
