"""Links between a caller and a service that need no network: the bytes are the real ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tashi.domain.errors import TashiError
from tashi.wire import envelope

if TYPE_CHECKING:
    from concurrent.futures import Future

Answer = Callable[[bytes, object], "bytes | Future[bytes]"]


@dataclass
class Sent:
    """One request as it was given to a link."""

    request: envelope.Request
    timeout_seconds: float
    repeatable: bool


@dataclass
class DirectLink:
    """Carries each request straight to a desk, and puts errors into envelopes as a server does.

    `sent` remembers the requests. `mishaps` are raised, one a request and first of all, instead of
    carrying it.
    """

    answer: Answer
    peer: str = "127.0.0.1:4711"
    sent: list[Sent] = field(default_factory=list)
    mishaps: list[TashiError] = field(default_factory=list)
    closed: bool = False
    private: bool = True

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        read = envelope.read_request(request)
        self.sent.append(Sent(read, timeout_seconds, repeatable))
        if self.mishaps:
            raise self.mishaps.pop(0)
        try:
            outcome = self.answer(request, self.peer)
            return outcome if isinstance(outcome, bytes) else outcome.result()
        except TashiError as error:
            return envelope.write_error(read.id, error)

    def close(self) -> None:
        """Nothing is held; only note it."""
        self.closed = True
