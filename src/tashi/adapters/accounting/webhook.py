"""Telling another system: each event as one HTTP POST, signed, in order, until it is acknowledged.

    POST /hook HTTP/1.1
    Content-Type: application/json
    Idempotency-Key: "4711"
    Tashi-Timestamp: 1764428290
    Tashi-Signature: sha256=5f2b…

    {"number":4711,"at":1764428290.5,"line":"CM VM ACTIVATE", …}

The signature is the HMAC-SHA256, with the secret that both sides have, of the timestamp, a full
stop and the body. The receiver acknowledges by any status from 200 to 299; whatever else it says,
and silence, is followed by the same event again. So an event may come twice: its key is the same
then. Nobody is followed elsewhere (3xx), since the secret is shared with one receiver.

Connecting to an address, agreeing on TLS, the POST until its answer begins, and the answer's rest
are limited to `timeout_seconds` each, also for a receiver that answers one byte at a time.
"""

import hmac
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from tashi import __version__
from tashi.adapters.accounting.bookmark import Bookmark
from tashi.domain.errors import DeliveryFailed
from tashi.domain.identity import EventNumber
from tashi.ports.clock import Clock
from tashi.ports.outlets import Place
from tashi.wire import history

_PORTS: Final = {"http": 80, "https": 443}
_DONE: Final = range(200, 300)
_MOST_OF_AN_ANSWER: Final = 65_536


class _Kept(msgspec.Struct, frozen=True):
    """A place in the journal."""

    volume: int
    event: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events are posted to, the secret that is shared with it, and its time for each."""

    url: str
    secret: str = field(repr=False)
    timeout_seconds: float = 10.0

    @property
    def address(self) -> SplitResult:
        """The parts of its address."""
        return urlsplit(self.url)

    def __str__(self) -> str:
        """The address without its query, which may hold a secret."""
        return self.url.partition("?")[0]


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header Tashi-Signature says."""
    signed = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256")
    return f"sha256={signed.hex()}"


class Webhook:
    """An outlet to that receiver; `bookmark` is where it keeps how far it has got."""

    def __init__(self, receiver: Receiver, bookmark: Bookmark, clock: Clock) -> None:
        self._receiver = receiver
        self._bookmark = bookmark
        self._clock = clock
        self._line: _Line | None = None

    @property
    def name(self) -> str:
        """The receiver's address."""
        return f"Webhook {self._receiver}"

    def place(self, newest: Callable[[], Place]) -> Place:
        """Behind which event it goes on: at first, the newest, for the past is not told."""
        self.close()
        kept = self._bookmark.read(_Kept)
        if kept is not None:
            return Place(kept.volume, EventNumber(kept.event))
        place = newest()
        self._bookmark.write(_Kept(place.volume, place.event))
        return place

    def hear(self, line: bytes) -> None:
        """Nothing: each event stands for itself."""

    def take(self, volume: int, lines: Sequence[bytes]) -> None:
        """Post each event; raises DeliveryFailed.

        The bookmark is kept once for all of them, so after a crash some may be posted again.
        """
        told = None
        try:
            for line in lines:
                number = history.number_of(line)
                self._post(number, line.rstrip(b"\n"))
                told = number
        finally:
            if told is not None:
                self._bookmark.write(_Kept(volume, told))

    def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _post(self, number: EventNumber, body: bytes) -> None:
        is_fresh = self._line is None
        try:
            self._line = self._line or _Line(self._receiver)
            status = self._line.post(body, self._headers(number, body))
        except _Late as late:
            self.close()
            raise self._failed(number, f"that took longer than {late.seconds:g} s") from late
        except (OSError, http.client.HTTPException) as wrong:
            self.close()
            if is_fresh:
                raise self._failed(number, str(wrong) or type(wrong).__name__) from wrong
            self._post(number, body)  # a connection that was kept may be closed by now
            return
        if not self._line.can_go_on:
            self.close()
        if status not in _DONE:
            raise self._failed(number, f"the answer was {status}, and not one from 200 to 299")

    def _headers(self, number: EventNumber, body: bytes) -> dict[str, str]:
        timestamp = f"{self._clock.wall():.0f}"
        return {
            "Content-Type": "application/json",
            "User-Agent": f"tashi/{__version__}",
            "Idempotency-Key": f'"{number}"',
            "Tashi-Timestamp": timestamp,
            "Tashi-Signature": signature(self._receiver.secret, timestamp, body),
        }

    def _failed(self, number: EventNumber, why: str) -> DeliveryFailed:
        return DeliveryFailed(f"Event {number} is not acknowledged: {why}.")


class _Late(Exception):
    """What was to be done took too long."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class _Line:
    """A connection to a receiver, for one POST after the other."""

    def __init__(self, receiver: Receiver) -> None:
        """Connect; raises _Late, and OSError like every method."""
        url = receiver.address
        self.can_go_on = True
        self._receiver = receiver
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        line = socket.create_connection((host, port), receiver.timeout_seconds)
        # Headers and body go in two writes; without this the second waits for the first's receipt.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._end = line.dup()  # of the same connection, for whoever cuts it, also under TLS
        self._connection = http.client.HTTPConnection(host, port)
        try:
            with self._in_time():
                self._connection.sock = _secured(line, host) if url.scheme == "https" else line
        except BaseException:
            line.close()
            self.close()
            raise

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Post the body and return the status of the answer, of which nobody reads more."""
        with self._in_time():
            self._connection.request("POST", _target(self._receiver.address), body, dict(headers))
            answer = self._connection.getresponse()
        with suppress(_Late, OSError, http.client.HTTPException), self._in_time():
            answer.read(_MOST_OF_AN_ANSWER)
        self.can_go_on = answer.isclosed() and not answer.will_close
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._end.close()

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Cut the connection when the block takes too long; raises _Late then."""
        late = Event()

        def cut() -> None:
            late.set()
            with suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)

        timer = Timer(self._receiver.timeout_seconds, cut)
        timer.start()
        try:
            yield
            if late.is_set():
                raise TimeoutError
        except (OSError, http.client.HTTPException) as wrong:
            if late.is_set() or isinstance(wrong, TimeoutError):
                raise _Late(self._receiver.timeout_seconds) from wrong
            raise
        finally:
            timer.cancel()
            timer.join()


def _secured(line: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(line, server_hostname=host)


def _target(url: SplitResult) -> str:
    return url._replace(scheme="", netloc="", fragment="", path=url.path or "/").geturl()
