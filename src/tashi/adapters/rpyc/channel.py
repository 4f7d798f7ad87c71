"""One accepted connection: what has come of the next request, and what is still to be sent.

A channel never waits, so its lock is only ever held for a moment; every method but `fileno` wants
it held. Of time it keeps since when something has been incomplete, for the server to judge.
"""

import select
import socket
import struct
import threading
from dataclasses import replace
from typing import Final

from tashi.adapters.rpyc import frames
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.secure import Secured
from tashi.ports.peers import Peer

CHUNK: Final = 64 * 1024
AT_ONCE: Final = struct.pack("ii", 1, 0)


class Channel:
    """The server's end of one connection."""

    __slots__ = (
        "_awaits",
        "_began",
        "_gathered",
        "_limits",
        "_part_since",
        "_sock",
        "_unsent",
        "_unsent_since",
        "armed",
        "closed",
        "closing",
        "in_progress",
        "lock",
        "peer",
        "proven",
        "shunned",
    )

    def __init__(
        self, sock: socket.socket | Secured, peer: Peer, limits: Limits, now: float
    ) -> None:
        self._sock = sock
        self._awaits = select.EPOLLIN if isinstance(sock, Secured) else 0
        self._limits = limits
        self._gathered = frames.Gatherer(limits.request_bytes)
        self._unsent = bytearray()
        self._began = self._part_since = self._unsent_since = now
        self.peer = peer
        self.lock = threading.Lock()
        self.armed = 0
        self.in_progress = 0
        self.proven = False
        self.shunned = False
        self.closing = False
        self.closed = False

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._sock.fileno()

    def close(self) -> None:
        """End the connection; what is unsent is lost, and the kernel is not left holding it."""
        self.closed = True
        if self._unsent:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._sock.close()

    @property
    def is_shaking(self) -> bool:
        """Whether the two ends still have to agree on a secure connection."""
        return self._awaits != 0

    def shake(self) -> None:
        """Go on with the handshake; once it is done, the peer is what its certificate says.

        Raises NotAgreed, or the OSError of a connection that is lost.
        """
        if isinstance(self._sock, Secured):
            self._awaits = self._sock.shake()
            if not self._awaits:
                self.peer = replace(self.peer, proof=self._sock.proof(), encrypted=True)

    def shun(self) -> bool:
        """Say nothing more and read nothing more, but let the peer read why; False when it has.

        A socket closed with bytes unread would take the alert along that says why.
        """
        if not isinstance(self._sock, Secured):
            return False
        if not self.shunned:
            self.shunned = True
            self._awaits = select.EPOLLIN
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                return False
        return self._sock.discard()

    def receive(self, now: float) -> bool:
        """Take in what has come; False when the peer has gone."""
        try:
            received = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not self._gathered.holds_part:
            self._part_since = now
        self._gathered.feed(received)
        return bool(received)

    def next_message(self, now: float) -> bytes | None:
        """Take one whole message, None when there is none or this peer has enough under way.

        Raises Malformed when what came is no frame.
        """
        if not self._may_ask:
            return None
        message = self._gathered.take()
        if message is not None:
            self._part_since = now
        return message

    def post(self, message: bytes, now: float) -> bool:
        """Send a message, as far as the peer takes it now; False when the peer is lost."""
        if not self._unsent:
            self._unsent_since = now
        self._unsent += frames.frame(message)
        return self.flush(now)

    def flush(self, now: float) -> bool:
        """Send on what is unsent; False when the peer has gone, or leaves far too much unread.

        What is answered gives the peer fresh time for the request it may have been stopped in.
        """
        try:
            sent = self._sock.send(self._unsent) if self._unsent else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return False
        del self._unsent[:sent]
        self._part_since = now
        return len(self._unsent) <= self._limits.answer_bytes + CHUNK

    @property
    def wanted(self) -> int:
        """What epoll should watch for: who does not read its answers is not read either.

        While a whole request is here already nothing more is read; the socket is watched for being
        writable, which is reported at once, so that the next worker takes that request.
        """
        if self._awaits:
            return self._awaits
        if self._unsent:
            return select.EPOLLOUT
        if not self._may_ask:
            return 0
        return select.EPOLLOUT if self._gathered.holds_whole else select.EPOLLIN

    @property
    def has_work(self) -> bool:
        """Whether answers are still to be made or to be sent."""
        return bool(self._unsent or self.in_progress)

    @property
    def on_the_clock(self) -> bool:
        """Whether the peer owes us something by a deadline."""
        return bool(self._unsent) or not self.proven or self._gathered.holds_part

    def overdue(self, now: float) -> str | None:
        """Say which deadline the peer has missed, if any."""
        limits = self._limits
        if self._awaits and now - self._began > limits.handshake_seconds:
            return "it did not finish its handshake"
        if not self.proven and now - self._began > limits.greeting_seconds:
            return "it connected and made no request"
        if self._unsent and now - self._unsent_since > limits.unread_seconds:
            return "it does not read its answers"
        awaited = self._gathered.holds_part and self._may_ask
        if awaited and now - self._part_since > limits.frame_seconds:
            return "it began a request and did not end it"
        return None

    @property
    def _may_ask(self) -> bool:
        busy = self.in_progress >= self._limits.in_progress
        return not (busy or self._unsent or self.closing)
