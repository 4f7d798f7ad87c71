"""What one peer, and all of them together, may take from a server.

The defaults suit a cluster of a thousand nodes; tests shorten the deadlines. A peer that goes over
a limit loses its connection and nobody else notices.
"""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20

REQUEST_BYTES: Final = MIB
"""The longest request, as sent and as inflated; nothing Tashi asks comes near it."""

ANSWER_BYTES: Final = 64 * MIB
"""The longest answer: some fifty thousand instances, listed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server gives; every deadline counts from when its cause began."""

    request_bytes: int = REQUEST_BYTES
    answer_bytes: int = ANSWER_BYTES
    connections: int = 4096
    connections_per_host: int = 256
    in_progress: int = 64
    """Requests of one connection being served; the rest wait unread."""
    greeting_seconds: float = 10.0
    """From connecting to the first whole request."""
    handshake_seconds: float = 5.0
    """From connecting to the end of the handshake, where there is TLS."""
    handshakes: int = 128
    """Handshakes under way; the oldest gives way to the next one."""
    frame_seconds: float = 10.0
    """From the first byte of a request to its last."""
    unread_seconds: float = 30.0
    """From when an answer stops fitting the peer's buffers to when it has read all of it."""

    @property
    def beat_seconds(self) -> float:
        """How often deadlines are looked at while there are any."""
        shortest = min(
            self.greeting_seconds, self.handshake_seconds, self.frame_seconds, self.unread_seconds
        )
        return min(1.0, shortest / 4)
