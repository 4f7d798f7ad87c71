"""A clock that stands still until a test turns it."""


class HandTurnedClock:
    """Keeps the port `Clock`; `turn` moves both of its hands."""

    def __init__(self, monotonic: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._monotonic += seconds
        self._wall += seconds
