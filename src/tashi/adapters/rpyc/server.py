"""A server for many connections on few threads: rpyc's `Server`, driven by epoll.

rpyc's own servers cost a thread for each connection, or up to 100 ms for a call, and let one slow
or hostile peer hold a thread. Here one worker waits on one epoll, and others stand by (`watch`).
Each socket is registered one-shot, so that one worker at a time looks after it: it takes what has
come, answers the small questions of rpyc's protocol itself, and serves a request that is whole.
No worker ever waits for a socket.

A handler that has to wait returns a Future. Whoever completes it only puts the answer in a queue
and rings the bell; a worker sends it. So nothing outside this package ever meets a slow peer.

From rpyc's `Server` come the listening socket and the loop of `start`, which calls `accept` for
ever: here, what has happened meanwhile.
"""

import logging
import resource
import select
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Final

from rpyc.core.service import VoidService
from rpyc.utils.server import Server

from tashi.adapters.rpyc import edge, protocol
from tashi.adapters.rpyc.bell import Bell
from tashi.adapters.rpyc.channel import Channel
from tashi.adapters.rpyc.gate import Complaints, Gate
from tashi.adapters.rpyc.later import Later
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.plain import Malformed
from tashi.adapters.rpyc.secure import NotAgreed, Secured
from tashi.adapters.rpyc.watch import Watch
from tashi.ports.peers import Handler, Peer

WORKERS: Final = 8
ACCEPTED_AT_ONCE: Final = 64
HEARD_AT_ONCE: Final = 64
GRACE_SECONDS: Final = 1.0
ONE_SHOT: Final = select.EPOLLIN | select.EPOLLONESHOT
TCP_OPTIONS: Final = (
    (socket.TCP_NODELAY, 1),
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 5),
)

log = logging.getLogger("tashi.rpyc")


class EventedServer(Server):  # type: ignore[misc]  # rpyc has no types
    """Serves one handler to every peer that the gate lets in; what it promised goes out `later`."""

    listener: socket.socket
    host: str
    port: int
    active: bool

    def __init__(
        self,
        handler: Handler,
        address: tuple[str, int],
        gate: Gate,
        limits: Limits,
        papers: Papers | None = None,
    ) -> None:
        """Bind the address, which is (IP address, port); raises OSError like `bind` does.

        With `papers` every connection begins with a handshake of TLS.
        """
        try:
            self._bind(*address)
        except OSError:
            if hasattr(self, "listener"):
                self.listener.close()
            raise
        self._handler = handler
        self._gate = gate
        self._limits = limits
        self._most = min(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._complaints = Complaints()
        self._channels: dict[int, Channel] = {}
        self._timed: set[Channel] = set()
        self._papers = papers
        self._shaking: dict[Channel, None] = {}
        self._next_beat = 0.0
        self._beat = threading.Lock()
        self.later = Later()
        self._curfew = Bell()
        self._epoll = select.epoll()
        self._door = -1
        self._resting = False
        self._watch = Watch(self._wait, self._attend_to)
        self._stopping = False
        self._drained = threading.Event()

    # -- life

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the port that was found when 0 was asked for."""
        return self.host, self.port

    def serve(self) -> None:
        """Begin to serve, on threads of its own; returns at once."""
        self._listen()
        self._watch.set(WORKERS, f"rpyc-{self.port}")

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Take no more requests, send the answers that are ready within the grace, and end."""
        if self._stopping:
            return
        self._stopping = True
        self.listener.close()
        for channel in list(self._channels.values()):
            with channel.lock:
                channel.closing = True
        self._note_whether_drained()
        if self._watch.threads:
            self._drained.wait(grace_seconds)
        super().close()
        self._dismiss()
        for channel in list(self._channels.values()):
            with channel.lock:
                self._drop(channel)

    def close(self) -> None:
        """Stop, by the name that rpyc gives it."""
        self.stop()

    def _bind(self, host: str, port: int) -> None:
        super().__init__(VoidService, host, ":" in host, port, logger=log, listener_timeout=0)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in TCP_OPTIONS:
            self.listener.setsockopt(socket.IPPROTO_TCP, option, value)

    def _listen(self) -> None:
        if self.active:
            return
        super()._listen()
        self._door = self.listener.fileno()
        self._epoll.register(self._door, ONE_SHOT)
        self._epoll.register(self.later.fileno(), ONE_SHOT)
        self._epoll.register(self._curfew.fileno(), select.EPOLLIN)

    def _dismiss(self) -> None:
        """Send the workers home; one that is stuck in a handler is left behind."""
        self._curfew.ring()
        if not self._watch.end(GRACE_SECONDS):
            log.warning("A request is still being served; it is left behind, unanswered.")
            return
        for closed in (self.later, self._curfew, self._epoll):
            closed.close()

    def _note_whether_drained(self) -> None:
        if not any(channel.has_work for channel in list(self._channels.values())):
            self._drained.set()

    # -- what happens

    def accept(self) -> None:
        """Wait until something happens, and do what that calls for."""
        for event in self._wait():
            self._attend_to(event)

    def _wait(self) -> list[tuple[int, int]]:
        """Wait until something has happened, or for a beat; what has happened."""
        on_the_clock = bool(self._timed) or self._resting
        beat = self._limits.beat_seconds if on_the_clock else None
        happened = self._epoll.poll(beat, HEARD_AT_ONCE)
        if on_the_clock:
            self._keep_time()
        return happened

    def _attend_to(self, event: tuple[int, int]) -> None:
        fd, events = event
        channel = self._channels.get(fd)
        if channel is not None:
            self._attend(channel, events)
        elif fd == self.later.fileno():
            self._deliver()
        elif fd == self._door and not self._stopping:
            self._welcome()

    def _attend(self, channel: Channel, events: int) -> None:
        """Look after one connection, up to its next whole request, and serve that."""
        with channel.lock:
            if channel.closed:
                return
            try:
                call = self._next_call(channel, events)
            except Malformed as wrong:
                self._complaints.closed(channel.peer.host, str(wrong))
                self._drop(channel)
                return
        if call is not None:
            self._serve(channel, call)
        with channel.lock:
            self._arm(channel)
        if self._stopping:
            self._note_whether_drained()

    def _next_call(self, channel: Channel, events: int) -> protocol.Call | None:
        now = time.monotonic()
        if channel.is_shaking:
            self._shake(channel)
            return None
        here = channel.flush(now) if events == select.EPOLLOUT else channel.receive(now)
        while here and (message := channel.next_message(now)) is not None:
            asked = protocol.understand(message)
            channel.proven = True
            if isinstance(asked, protocol.Call):
                channel.in_progress += 1
                return asked
            here = isinstance(asked, protocol.Told) and channel.post(asked.answer, now)
        if not here:
            self._drop(channel)
        return None

    def _shake(self, channel: Channel) -> None:
        """Go on with a handshake; who does not agree is told why, and heard no more."""
        try:
            if not channel.shunned:
                channel.shake()
        except NotAgreed as wrong:
            self._complaints.closed(channel.peer.host, str(wrong))
            if not channel.shun():
                self._drop(channel)
        except OSError:
            self._drop(channel)
        else:
            if channel.shunned and not channel.shun():
                self._drop(channel)
        if not channel.is_shaking:
            self._shaking.pop(channel, None)

    def _serve(self, channel: Channel, call: protocol.Call) -> None:
        answer = edge.answer(
            self._handler,
            call.request,
            channel.peer,
            self._limits.answer_bytes,
            later=partial(self.later.put, channel, call.number),
        )
        if answer is not None:
            with channel.lock:
                self._answer(channel, call.number, answer)

    def _answer(self, channel: Channel, number: int, answer: bytes) -> None:
        """Send an answer; called with the channel's lock held."""
        channel.in_progress -= 1
        if not (channel.closed or channel.post(protocol.reply(number, answer), time.monotonic())):
            self._drop(channel)

    def _deliver(self) -> None:
        for channel, number, answer in self.later.taken():
            with channel.lock:
                self._answer(channel, number, answer)
                if channel.wanted != channel.armed:
                    self._arm(channel)
        if self._stopping:
            self._note_whether_drained()
        self._epoll.modify(self.later.fileno(), ONE_SHOT)

    def _arm(self, channel: Channel) -> None:
        """Arm the socket for what the channel wants next; called with its lock held."""
        if channel.closed:
            return
        channel.armed = channel.wanted
        self._epoll.modify(channel.fileno(), channel.armed | select.EPOLLONESHOT)
        if channel.on_the_clock:
            self._keep_time_of(channel)

    def _drop(self, channel: Channel) -> None:
        """End a connection; called with its lock held."""
        if channel.closed:
            return
        self._channels.pop(channel.fileno(), None)
        self._timed.discard(channel)
        self._shaking.pop(channel, None)
        self._gate.leave(channel.peer.host)
        channel.close()

    # -- newcomers and deadlines

    def _welcome(self) -> None:
        try:
            for _ in range(ACCEPTED_AT_ONCE):
                sock, address = self.listener.accept()
                self._admit(sock, self._peer(sock, address))
        except (BlockingIOError, ConnectionError):
            pass  # nobody is left, or somebody left before the door was opened
        except OSError as trouble:
            if not self._stopping:
                words = f"No connection can be accepted: {trouble.strerror or trouble}"
                self._complaints.say("the door", words)
            self._resting = True
            self.later.wake()
            return
        self._open_door()

    def _open_door(self) -> None:
        with suppress(OSError):  # stop may have closed it meanwhile
            self._epoll.modify(self._door, ONE_SHOT)

    def _peer(self, sock: socket.socket, address: tuple[str, int]) -> Peer:
        del sock  # another kind of socket has more to say
        return Peer(*address[:2])

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        objection = self._objection(peer)
        if objection is not None:
            self._complaints.closed(peer.host, objection)
            sock.close()
            return
        sock.setblocking(False)
        try:
            end = Secured(sock, self._papers.server()) if self._papers else sock
        except OSError:  # it has broken off already, which is nobody else's trouble
            sock.close()
            return
        channel = Channel(end, peer, self._limits, time.monotonic())
        if self._papers:
            self._limit_handshakes()
            self._shaking[channel] = None
        self._gate.enter(peer.host)
        self._channels[channel.fileno()] = channel
        self._keep_time_of(channel)
        self._epoll.register(channel.fileno(), ONE_SHOT)

    def _limit_handshakes(self) -> None:
        """Let the oldest handshake give way when there are as many as there may be."""
        while len(self._shaking) >= self._limits.handshakes:
            oldest = next(iter(list(self._shaking)), None)
            if oldest is None:
                return
            with oldest.lock:
                if oldest.is_shaking:
                    self._complaints.closed(oldest.peer.host, "too many handshakes are under way")
                    self._drop(oldest)
                self._shaking.pop(oldest, None)

    def _objection(self, peer: Peer) -> str | None:
        host = peer.host
        if self._papers is None and not (peer.proof or self._gate.trusts(host)):
            return "it is in none of the trustedNetworks of [Security]"
        if self._gate.is_full_for(host) and not self._makes_room(host):
            return f"it has {self._limits.connections_per_host} connections already"
        if len(self._channels) >= self._most and not self._makes_room(None):
            return f"there are {self._most} connections already"
        return None

    def _makes_room(self, host: str | None) -> bool:
        """Close the oldest connection (of that host) that never asked anything, if there is one.

        So connections that keep silent cannot keep out those that talk.
        """
        for channel in list(self._channels.values()):
            with channel.lock:
                if host in {None, channel.peer.host} and not (channel.proven or channel.closed):
                    self._complaints.closed(channel.peer.host, "it kept silent, and places are few")
                    self._drop(channel)
                    return True
        return False

    def _keep_time_of(self, channel: Channel) -> None:
        """Put it on the clock; should somebody wait as if nobody were, that one begins anew."""
        self._timed.add(channel)
        if len(self._timed) == 1:
            self.later.wake()

    def _keep_time(self) -> None:
        """Once a beat, by whichever worker comes first: close what is overdue."""
        now = time.monotonic()
        if now < self._next_beat or not self._beat.acquire(blocking=False):
            return
        try:
            self._next_beat = now + self._limits.beat_seconds
            for channel in list(self._timed):
                with channel.lock:
                    self._judge(channel, now)
            if self._resting:
                self._resting = False
                self._open_door()
        finally:
            self._beat.release()

    def _judge(self, channel: Channel, now: float) -> None:
        missed = channel.overdue(now)
        if missed is not None:
            if not channel.shunned:
                self._complaints.closed(channel.peer.host, missed)
            self._drop(channel)
        elif not channel.on_the_clock:
            self._timed.discard(channel)
