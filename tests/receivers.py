"""A receiver of webhooks on the loopback, which can be told to be difficult."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Mood = Callable[["Handler"], None]


@dataclass(frozen=True)
class Post:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


def answering(status: int, **headers: str) -> Mood:
    """Answer with that status."""

    def answer(handler: "Handler") -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return answer


def hang(handler: "Handler") -> None:
    """Say nothing until the other side gives up, or the receiver is stopped."""
    handler.server_of_ours.released.wait()
    handler.close_connection = True


def trickle(handler: "Handler") -> None:
    """Say one byte at a time, and never the end of a line."""
    while not handler.server_of_ours.released.wait(0.05):
        try:
            handler.wfile.write(b"H")
            handler.wfile.flush()
        except OSError:
            break
    handler.close_connection = True


def slam(handler: "Handler") -> None:
    """Close the connection without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def ramble(handler: "Handler") -> None:
    """Acknowledge, and go on talking."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        try:
            handler.wfile.write(b"x" * 10_000)
        except OSError:
            break
    handler.close_connection = True


class Handler(BaseHTTPRequestHandler):
    """Notes each POST and answers as the receiver's mood is."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of_ours: "Receiver"

    def setup(self) -> None:
        super().setup()
        self.server_of_ours.connections.append(self.connection)

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:  # who posted it has died meanwhile
            self.close_connection = True
            return
        self.server_of_ours.note(Post(self.path, dict(self.headers), body))
        self.server_of_ours.mood()(self)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Nothing: whoever posts may be killed at any time."""


@dataclass
class Receiver:
    """Acknowledges everything but what `moods` are for, one of them a request and first of all."""

    certificate: Path | None = None
    moods: list[Mood] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = threading.Event()
        self._came = threading.Condition()
        handler = type("OurHandler", (Handler,), {"server_of_ours": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = self._server.server_port
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def mood(self) -> Mood:
        """How to answer now."""
        return self.moods.pop(0) if self.moods else answering(200)

    def note(self, post: Post) -> None:
        """Remember a request."""
        with self._came:
            self.posts.append(post)
            self._came.notify_all()

    def wait_for(self, holds: Callable[[list[Post]], bool], within_seconds: float = 60.0) -> None:
        """Wait until something holds of what came; fails when it does not in time."""
        with self._came:
            assert self._came.wait_for(lambda: holds(self.posts), within_seconds), self.posts

    def hang_up(self) -> None:
        """Close every connection that there is, as a server does that is restarted."""
        for connection in self.connections:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Answer nobody any more."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self.hang_up()
        self._server.server_close()
