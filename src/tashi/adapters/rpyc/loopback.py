"""Calls within one process: the same bytes, the same edge, no socket and no clock.

Whole-cluster tests wire their daemons with this. Faults are asked for one by one, so a test says
exactly which attempt suffers what, and nothing happens by chance.
"""

import queue
import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tashi.adapters.rpyc import edge
from tashi.adapters.rpyc.limits import ANSWER_BYTES
from tashi.domain.errors import PeerSilent
from tashi.ports.peers import Handler, Peer
from tashi.wire import envelope


class Loss(Enum):
    """What can get lost on the way."""

    CONNECTION = "the peer cannot be reached: certainly not carried out"
    REQUEST = "the request is lost: not carried out, but the caller cannot know"
    ANSWER = "the answer is lost: carried out, but the caller cannot know"


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer is made at once and arrives when the event is set."""

    until: threading.Event


Fault: TypeAlias = Loss | Delay


class Loopback:
    """A `Caller` of a handler in the same process."""

    def __init__(self, handler: Handler, peer: Peer | None = None) -> None:
        """The handler sees its caller as `peer`."""
        self._handler = handler
        self._peer = peer or Peer("loopback", 0)
        self._faults: deque[Fault] = deque()
        self._waiting: set[queue.SimpleQueue[bytes | None]] = set()
        self._closed = False
        self.reachable = True

    def suffer(self, *faults: Fault) -> None:
        """Let the next attempts suffer these faults, one each; a repeated call is two attempts."""
        self._faults.extend(faults)

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Have the request answered, as `tashi.ports.peers.Caller` promises."""
        while True:
            fault = self._faults.popleft() if self._faults else None
            if self._closed or not self.reachable:
                fault = Loss.CONNECTION
            if not isinstance(fault, Loss):
                return self._attempt(request, timeout_seconds, fault)
            if fault is Loss.ANSWER:
                edge.answer(self._handler, request, self._peer, ANSWER_BYTES, later=_forget)
            if not repeatable or self._closed or not self.reachable:
                raise self._silence(request, sent=fault is not Loss.CONNECTION)

    def close(self) -> None:
        """Let go of the handler; calls under way end with PeerSilent, and so do later ones."""
        self._closed = True
        for box in list(self._waiting):
            box.put(None)

    def _attempt(self, request: bytes, seconds: float, delay: Delay | None) -> bytes:
        box: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting.add(box)
        try:
            answer = edge.answer(self._handler, request, self._peer, ANSWER_BYTES, later=box.put)
            if delay is not None and not delay.until.wait(seconds):
                answer = None
            elif answer is None:
                answer = box.get(timeout=seconds)
        except queue.Empty:
            answer = None
        finally:
            self._waiting.discard(box)
        if answer is None:
            raise self._silence(request, sent=True)
        return answer

    def _silence(self, request: bytes, *, sent: bool) -> PeerSilent:
        _, call = envelope.glance(request)
        words = "may have carried it out" if sent else "has certainly not carried it out"
        return PeerSilent(
            f"The peer did not answer {call}; it {words}.",
            peer="loopback",
            sent="perhaps" if sent else "no",
        )


def _forget(_: bytes) -> None:
    """Stand where nobody waits any more."""
