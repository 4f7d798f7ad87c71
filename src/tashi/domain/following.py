"""How far a daemon has followed the cluster manager's events, and what it must ask for next.

A follower reads a snapshot once and the numbered events from there on. It reads a new snapshot when
it has fallen behind what is kept. While the cluster manager is silent it keeps what it knows, says
that this is stale, and asks again with growing pauses; numbers go on where they were when a cluster
manager restarts, so silence alone is no reason to start over.
"""

from dataclasses import dataclass, replace

from tashi.domain.identity import EventNumber

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Following:
    """Where a follower stands.

    `next` is the event to ask for; ``None`` when a snapshot is needed first. `silences` counts the
    questions in a row that got no answer.
    """

    next: EventNumber | None = None
    silences: int = 0

    @property
    def is_stale(self) -> bool:
        """Whether what the follower knows may be out of date."""
        return self.next is None or self.silences > 0

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next question; nothing while there are answers."""
        if self.silences == 0:
            return 0.0
        return min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.silences - 1, 30), LONGEST_PAUSE_SECONDS)

    def read(self, following: EventNumber) -> "Following":
        """After an answer that reaches up to the event before `following`.

        Numbers that run backwards belong to another past (a store that was put back), so everything
        is read anew.
        """
        backwards = self.next is not None and following < self.next
        return replace(self, next=None if backwards else following)

    def outdated(self) -> "Following":
        """After hearing that the next event is no longer kept."""
        return replace(self, next=None)

    def unanswered(self) -> "Following":
        """After a question that got no answer."""
        return replace(self, silences=self.silences + 1)

    def answered(self) -> "Following":
        """After a round in which every question got its answer."""
        return replace(self, silences=0)
