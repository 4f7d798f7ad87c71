"""Both ends of a connection made by hand, for saying what no honest program says."""

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from tashi.adapters.rpyc import frames, gate, protocol
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.server import EventedServer
from tashi.ports.peers import Handler, Peer

PATIENCE_SECONDS = 30.0
AROUND = protocol.around_request(protocol.Ours.METHOD)
HASTY = Limits(greeting_seconds=0.5, frame_seconds=0.5, unread_seconds=0.5)


class RawPeer:
    """A client that sends bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, PATIENCE_SECONDS)
        self._gathered = frames.Gatherer(1 << 26)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, content: bytes) -> None:
        """Send bytes; what a peer that has gone does not take is its loss."""
        with suppress(OSError):
            self.sock.sendall(content)

    def tell(self, *messages: bytes) -> None:
        self.send(b"".join(map(frames.frame, messages)))

    def hear(self) -> bytes:
        """The next message; EOFError when there will be none."""
        while True:
            message = self._gathered.take()
            if message is not None:
                return message
            received = self.sock.recv(1 << 16)
            if not received:
                raise EOFError
            self._gathered.feed(received)

    def ask(self, message: bytes) -> bytes:
        self.tell(message)
        return self.hear()

    def call(self, request: bytes, number: int = 1) -> bytes:
        """Call the service as an honest client does."""
        heard = protocol.hear(self.ask(call_message(request, number)))
        assert isinstance(heard, protocol.Reply)
        assert isinstance(heard.content, bytes)
        return heard.content

    def is_cut_off(self) -> bool:
        """Whether the server closes the connection, within our patience, saying nothing more."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def is_reset(self) -> bool:
        """Whether the server breaks the connection off, though there is more for us to read."""
        poll = select.poll()
        poll.register(self.sock, select.POLLHUP)
        return bool(poll.poll(PATIENCE_SECONDS * 1000))


def call_message(request: bytes, number: int = 1) -> bytes:
    return protocol.ask_call(number, AROUND, request)


def echo(request: bytes, _: Peer) -> bytes:
    return request


@contextmanager
def serving(
    handler: Handler = echo,
    limits: Limits | None = None,
    door: gate.Gate | None = None,
    port: int = 0,
) -> Iterator[EventedServer]:
    """A server on loopback for the length of a with block."""
    limits = limits or Limits()
    door = door or gate.Gate((), limits.connections_per_host)
    server = EventedServer(handler, ("127.0.0.1", port), door, limits)
    server.serve()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def scripted(*conversations: Callable[[RawPeer], None]) -> Iterator[tuple[str, int]]:
    """A server that holds one conversation with each client that connects, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        talker = threading.Thread(target=_converse, args=(listener, conversations))
        talker.start()
        yield listener.getsockname()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        talker.join()


def _converse(
    listener: socket.socket, conversations: tuple[Callable[[RawPeer], None], ...]
) -> None:
    for conversation in conversations:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.settimeout(PATIENCE_SECONDS)
        peer = RawPeer.__new__(RawPeer)
        peer.sock, peer._gathered = sock, frames.Gatherer(1 << 26)
        with peer:
            try:
                conversation(peer)
            except (EOFError, OSError) as end:
                logging.getLogger(__name__).info("a conversation ended early: %s", end)
