"""Lets requests in to a service, and says in its log who speaks a version that it does not.

The caller is told with every request; the log would be full of it, so there each caller of each
version is named once.
"""

import logging
from concurrent.futures import Future
from typing import Final

from tashi.domain.errors import VersionMismatch
from tashi.ports.peers import Peer
from tashi.wire.serving import Desk

_log = logging.getLogger(__name__)

_MOST_NAMED: Final = 1000


class Doorman:
    """Stands before one desk; safe to use from several threads."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._named: set[tuple[str, object]] = set()

    def answer(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        """Have the desk answer; raises what it raises."""
        try:
            return self._desk.answer(request, peer)
        except VersionMismatch as mismatch:
            self._name(peer, mismatch)
            raise

    def _name(self, peer: Peer, mismatch: VersionMismatch) -> None:
        key = (peer.host, mismatch.about.get("theirs"))
        if key not in self._named and len(self._named) < _MOST_NAMED:
            self._named.add(key)
            _log.warning("A caller at %s was refused: %s", peer, mismatch)
