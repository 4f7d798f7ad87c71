"""Calling another program of the cluster over rpyc.

A `Link` connects when it is first needed, keeps its line, and connects again when the line is
lost; any number of threads call over it at once. Only what certainly never left this machine is
sent again on its own; anything else is, only when the caller says that repeating is harmless.
Whatever goes wrong becomes one PeerSilent that names the peer and what it was asked.
"""

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tashi.adapters.rpyc import protocol
from tashi.adapters.rpyc.limits import ANSWER_BYTES, REQUEST_BYTES
from tashi.adapters.rpyc.line import (
    Answer,
    Line,
    LineFailed,
    LineLost,
    LineRetired,
    NoAnswer,
    Pulse,
)
from tashi.domain.errors import BadRequest, NotLeader, PeerSilent
from tashi.wire import codec, envelope

if TYPE_CHECKING:
    from tashi.adapters.rpyc.calling import Secrets

CONNECT_SECONDS: Final = 3.0
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 2.5
CLOSED: Final = "this side closed the connection"


class Link:
    """A `Caller` of the program at one address (host name, port)."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_bytes: int = ANSWER_BYTES,
        secrets: "Secrets | None" = None,
    ) -> None:
        """Connecting is given up after `connect_seconds`, an answer above `answer_bytes` too.

        With `secrets` the line is encrypted, and the peer has to be whom they name.
        """
        self._pulse: bytes | None = None
        self._secrets = secrets
        self._address = address
        self._connect_seconds = connect_seconds
        self._answer_bytes = answer_bytes
        self._line: Line | None = None
        self._shown: object = None
        self._retired: list[Line] = []
        self._around = protocol.around_request(protocol.Ours.METHOD)
        self._dialling = threading.Lock()
        self._failed: LineFailed | None = None
        self._closed = threading.Event()

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is said."""
        return self._secrets is not None

    def __str__(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer, as `tashi.ports.peers.Caller` promises."""
        if len(request) > REQUEST_BYTES - protocol.AROUND_REQUEST:
            raise BadRequest(f"The request has {len(request)} bytes, more than any peer takes.")
        deadline = time.monotonic() + timeout_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._once(request, deadline)
            except LineFailed as failure:
                left = deadline - time.monotonic()
                if not repeatable or left <= pause or self._closed.wait(pause):
                    raise self._silence(request, failure, timeout_seconds) from failure
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def keep_pulse(self, request: bytes) -> None:
        """Give a peer up that leaves this harmless request unanswered while others wait.

        That happens long before their own time is over. A peer that answers it does not lead is
        given up as well.
        """
        self._pulse = request

    def close(self) -> None:
        """Let go of the peer; calls under way end with PeerSilent, and so do later ones."""
        self._closed.set()
        for line in (*self._retired, self._line):
            if line is not None:
                line.cut(CLOSED)

    def _once(self, request: bytes, deadline: float) -> bytes:
        try:
            line, around = self._connected(deadline)
            answer = line.ask(lambda number: protocol.ask_call(number, around, request), deadline)
        except LineRetired:
            return self._once(request, deadline)
        if isinstance(answer, protocol.Reply) and isinstance(answer.content, bytes):
            return answer.content
        raise LineLost(_misbehaviour(answer), sent=True)

    def _connected(self, deadline: float) -> tuple[Line, tuple[bytes, bytes]]:
        """The line that there is, or a new one; who waited while dialling failed shares that."""
        failed_before = self._failed
        if not self._dialling.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise NoAnswer("it does not accept connections", sent=False)
        try:
            self._retire_what_is_old()
            if self._line is None or not self._line.is_sound():
                if self._failed is not None and self._failed is not failed_before:
                    raise LineLost(str(self._failed), sent=False)
                self._line = self._dial(deadline)
            return self._line, self._around
        finally:
            self._dialling.release()

    def _retire_what_is_old(self) -> None:
        """A line that was made with certificates of before gives way to one with those of today."""
        if self._line is None or self._secrets is None:
            return
        if self._secrets.papers.client() is not self._shown:
            self._line.retire()
            self._retired.append(self._line)
            self._line = None

    def _dial(self, deadline: float) -> Line:
        if self._closed.is_set():
            raise LineLost(CLOSED, sent=False)
        until = min(deadline, time.monotonic() + self._connect_seconds)
        try:
            return self._open(until)
        except (TimeoutError, NoAnswer) as slow:
            if until == deadline:
                raise NoAnswer("it does not accept connections in time", sent=False) from slow
            why = f"no connection within {self._connect_seconds:g} s"
            self._failed = LineLost(why, sent=False)
        except (LineLost, OSError, UnicodeError, OverflowError) as wrong:
            self._failed = LineLost(getattr(wrong, "strerror", None) or str(wrong), sent=False)
        raise self._failed

    def _open(self, until: float) -> Line:
        self._shown = None if self._secrets is None else self._secrets.papers.client()
        sock = self._connect(max(0.001, until - time.monotonic()))
        try:
            secured = self._secrets.agree(sock, self._address[0], until) if self._secrets else sock
        except BaseException:
            sock.close()
            raise
        line = Line(secured, self._answer_bytes)
        try:
            self._around = protocol.around_request(_introduced(line, until))
        except LineFailed as failure:
            line.cut(str(failure))
            raise
        if self._pulse is not None:
            line.pulse = Pulse(self._ask_after, _does_not_lead, QUIET_SECONDS)
        self._line = line
        if self._closed.is_set():
            line.cut(CLOSED)
        return line

    def _connect(self, seconds: float) -> socket.socket:
        sock = socket.create_connection(self._address, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def _ask_after(self, number: int) -> bytes:
        return protocol.ask_call(number, self._around, self._pulse or b"")

    def _silence(self, request: bytes, failure: LineFailed, seconds: float) -> PeerSilent:
        _, call = envelope.glance(request)
        if not failure.sent:
            words = f"{self} cannot be reached for {call}: {failure}."
        elif isinstance(failure, NoAnswer):
            words = (
                f"{self} did not answer {call} within {seconds:.3g} s; it may have carried it out."
            )
        else:
            words = (
                f"{self} was lost before it answered {call}: {failure}; it may have carried it out."
            )
        return PeerSilent(words, peer=str(self), sent="perhaps" if failure.sent else "no")


class LocalLink(Link):
    """A `Caller` of the program at a socket of this machine, whose kernel says who calls."""

    def __init__(self, path: Path, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        super().__init__((str(path), 0), connect_seconds=connect_seconds)
        self._path = str(path)

    @property
    def private(self) -> bool:
        """Nothing that is said leaves this machine."""
        return True

    def __str__(self) -> str:
        return self._path

    def _connect(self, seconds: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(seconds)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        return sock


def _introduced(line: Line, deadline: float) -> protocol.Reference:
    """Ask a new peer for its one method, and check that it has one."""
    root = line.ask(protocol.ask_root, deadline)
    if not isinstance(root, protocol.Reply) or not isinstance(root.content, tuple):
        raise LineLost(_misbehaviour(root), sent=False)
    named = root.content
    method = line.ask(lambda number: protocol.ask_method(number, named), deadline)
    if not isinstance(method, protocol.Reply) or not isinstance(method.content, tuple):
        raise LineLost(_misbehaviour(method), sent=False)
    return method.content


def _does_not_lead(answer: Answer) -> str | None:
    if not isinstance(answer, protocol.Reply) or not isinstance(answer.content, bytes):
        return _misbehaviour(answer)
    error = envelope.error_in(answer.content)
    return "it does not lead any more" if isinstance(error, NotLeader) else None


def _misbehaviour(answer: Answer) -> str:
    if isinstance(answer, protocol.Refusal):
        return f'it refused with "{codec.printable(answer.words)}"'
    return "it answered with something that is no answer"
