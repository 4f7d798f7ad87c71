"""Calling other programs of the cluster, and being called by them, as plain bytes.

What the bytes mean is the business of `tashi.wire`; how they travel that of an adapter (rpyc over
TCP, or a loopback in the same process). The laws of the port:

* a handler holds no thread while it waits: it returns a Future, and whoever completes that Future
  is never held up by a slow reader;
* a caller is told `PeerSilent` for everything that can befall a request on its way, and whether it
  is sure that the request was not carried out;
* nothing is sent twice unless the caller said that repeating it is harmless.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tashi.domain.proofs import Proof


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request came from, and what the connection vouches for.

    Over a socket of this machine the `host` names the caller's uid, and the `port` is 0.
    `encrypted` says that nobody on the way can read what is said.
    """

    host: str
    port: int
    proof: Proof | None = None
    encrypted: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Promise(Protocol):
    """An answer that is still to come; `concurrent.futures.Future[bytes]` is one."""

    def done(self) -> bool:
        """Whether `result` returns at once."""
        ...

    def result(self) -> bytes:
        """The answer, or the exception that stands in its place, raised."""
        ...

    def add_done_callback(self, told: Callable[["Promise"], object], /) -> None:
        """Call `told` when it is done, on the thread that does it, or at once if it is."""
        ...


Handler: TypeAlias = Callable[[bytes, Peer], bytes | Promise]
"""Answers one request. It is called on several threads at once and waits for nothing but the
processor: when the answer takes time it returns a Future. A TashiError that it raises, or fails
the Future with, travels to the caller; any other exception is logged and reaches the caller as a
Broken without details."""


class Caller(Protocol):
    """One other program that can be called; safe to share between threads."""

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer.

        Raises PeerSilent when no answer came within the time; its `about["sent"]` is "no" when the
        request certainly never reached the peer, else "perhaps". With `repeatable` the request is
        sent again, for as long as there is time, when the connection fails.
        """
        ...

    def close(self) -> None:
        """Let go of the peer; calls under way end with PeerSilent, and so do later ones."""
        ...
