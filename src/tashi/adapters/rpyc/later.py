"""Promised answers that are there now, on their way from who made them to who sends them."""

from collections import deque
from collections.abc import Callable, Iterator

from tashi.adapters.rpyc.bell import Bell
from tashi.adapters.rpyc.channel import Channel

Answer = tuple[Channel, int, bytes]


class Later:
    """A queue with a bell; `before` may be set to what must be done before an answer is sent."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None
        self._answers: deque[Answer] = deque()
        self._bell = Bell()

    def fileno(self) -> int:
        """The descriptor, readable once there are answers."""
        return self._bell.fileno()

    def put(self, channel: Channel, number: int, answer: bytes) -> None:
        """Leave an answer to the workers; the thread that calls this is never held up."""
        self._answers.append((channel, number, answer))
        self._bell.ring()

    def wake(self) -> None:
        """Have a worker look, though no answer is there."""
        self._bell.ring()

    def taken(self) -> Iterator[Answer]:
        """All that are there, also those that come meanwhile; for one worker at a time."""
        self._bell.silence()
        while self._answers:
            ready = [self._answers.popleft() for _ in range(len(self._answers))]
            self.before()
            yield from ready

    def close(self) -> None:
        """Give the descriptor back; what comes from now on goes nowhere."""
        self._bell.close()
