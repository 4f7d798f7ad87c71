"""Long work of the cluster manager itself, such as copying an image.

A job is in memory only: when the cluster manager ends, what was not done is not done, and whatever
was half made is swept away at the next start. So a job is never the only one to know of something
that was acknowledged.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tashi.domain.errors import TashiError
from tashi.domain.identity import UserId


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OVER: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: what it does, for whom, how far it is (bytes, bytes a second) and how it ended."""

    id: int
    words: str
    user_id: UserId | None
    state: JobState = JobState.WAITING
    done: int = 0
    total: int = 0
    rate: int = 0
    change: int = 0
    error: TashiError | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in _OVER

    def __str__(self) -> str:
        return f"job {self.id} ({self.words})"
