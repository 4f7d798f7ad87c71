"""Clients that cost next to nothing: connections that replay calls, all on one epoll loop.

Every connection makes its next call as soon as the answer to the last one is there. The frames are
those of Tashi's own client; what is left out is everything else that a client does. So what is
measured is the server, and both sides of a comparison pay the same for their callers.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from instruments.daemons import processor_seconds
from tashi.adapters.rpyc import frames, protocol

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of calling measured."""

    calls: int
    per_second: float
    median_ms: float
    p99_ms: float
    cpu_us: float
    """Microseconds of the server's processor for each call; it varies less than the rate."""


class Caller:
    """One connection, and the requests it makes one after the other."""

    def __init__(
        self, port: int, requests: Iterator[bytes], context: ssl.SSLContext | None = None
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.sock = context.wrap_socket(self.sock)
        self._gathered = frames.Gatherer(_MOST_BYTES)
        self._requests = requests
        root = self._told(protocol.ask_root(0))
        method = self._told(protocol.ask_method(1, root))
        self._around = protocol.around_request(method)
        self._asked = 0.0

    def ask(self) -> None:
        """Make the next call."""
        message = protocol.ask_call(2, self._around, next(self._requests))
        self._asked = time.perf_counter()
        self.sock.send(frames.frame(message))

    def hear(self) -> tuple[bytes, float] | None:
        """The answer and the seconds it took; None while it is incomplete."""
        received = self.sock.recv(1 << 16)
        if not received:
            raise SystemExit("The server has closed a connection.")
        self._gathered.feed(received)
        answer = self._gathered.take()
        return None if answer is None else (answer, time.perf_counter() - self._asked)

    def _told(self, message: bytes) -> protocol.Reference:
        self.sock.sendall(frames.frame(message))
        while (answer := self._gathered.take()) is None:
            self._gathered.feed(self.sock.recv(1 << 16))
        heard = protocol.hear(answer)
        assert isinstance(heard, protocol.Reply)
        assert isinstance(heard.content, tuple)
        return heard.content


def call_for(
    seconds: float,
    port: int,
    requests: Sequence[Iterator[bytes]],
    is_right: Callable[[bytes], bool] = bool,
    *,
    server: int,
    over_tls: bool = False,
) -> Round:
    """Keep one connection calling for each of the requests' sources; every answer must be right.

    The `server` is the process that answers. At the end calls under way are waited for, so that
    whatever the server took on was answered.
    """
    context = _believing_anybody() if over_tls else None
    made = [Caller(port, source, context) for source in requests]
    callers = {one.sock.fileno(): one for one in made}
    worked, began = processor_seconds(server), time.perf_counter()
    latencies = _keep_calling(callers, began + seconds, is_right)
    taken = time.perf_counter() - began
    worked = processor_seconds(server) - worked
    for caller in callers.values():
        caller.sock.close()
    latencies.sort()
    return Round(
        len(latencies),
        len(latencies) / taken,
        latencies[len(latencies) // 2] * 1000,
        latencies[len(latencies) * 99 // 100] * 1000,
        worked / len(latencies) * 1e6,
    )


def _believing_anybody() -> ssl.SSLContext:
    """Whom a caller believes costs nothing per call, so these look at no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _keep_calling(
    callers: dict[int, Caller], until: float, is_right: Callable[[bytes], bool]
) -> list[float]:
    latencies: list[float] = []
    under_way = len(callers)
    with select.epoll() as epoll:
        for fd, caller in callers.items():
            epoll.register(fd, select.EPOLLIN)
            caller.ask()
        while under_way:
            for fd, _ in epoll.poll():
                heard = callers[fd].hear()
                if heard is None:
                    continue
                answer, latency = heard
                if not is_right(answer):
                    raise SystemExit(f"The server answered {answer[:300]!r}.")
                latencies.append(latency)
                if time.perf_counter() < until:
                    callers[fd].ask()
                else:
                    under_way -= 1
    return latencies
