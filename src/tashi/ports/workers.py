"""Hands for everything that waits on the world."""

from collections.abc import Callable
from typing import Protocol

Job = Callable[[], None]


class Workers(Protocol):
    """Runs jobs in the background: those of one lane in order, different lanes side by side.

    A job that fails is followed by the next of its lane as if it had ended well.
    """

    def run(self, lane: str, job: Job) -> None:
        """Queue a job behind those of its lane; never waits."""
        ...

    def after(self, seconds: float, lane: str, job: Job) -> None:
        """Queue a job in its lane once the time has passed."""
        ...
