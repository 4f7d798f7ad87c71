"""What requests were answered of late, so that a repeat gets the answer of the first.

Whoever hears no answer asks again under the same id, within seconds or after a restart of the
cluster manager. So answers are kept by age, not by number: under load ten thousand events pass
while one client waits for its time limit.

Only the ledger's thread enters here.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from tashi.domain.identity import EventNumber
from tashi.domain.journal import Answer

KEPT_SECONDS: Final = 60.0
"""Six times as long as a quick call may take."""


class Answers:
    """The answers of the last KEPT_SECONDS, in the order of their events."""

    def __init__(self, kept: Iterable[Answer], now: float) -> None:
        """Those that outlived a restart count as given at `now`, a monotonic time."""
        self._answers: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        self.take(kept, now)

    def to(self, request: str) -> Answer | None:
        """What that request was answered, if it was and not too long ago."""
        found = self._answers.get(request)
        return None if found is None else found[1]

    def take(self, answers: Iterable[Answer], now: float) -> None:
        """Keep answers that have become durable."""
        self._answers.update((one.request, (now, one)) for one in answers)

    def forget(self, now: float) -> None:
        """Let go of what is too old."""
        while self._answers:
            request, (given, _) = next(iter(self._answers.items()))
            if given > now - KEPT_SECONDS:
                return
            del self._answers[request]

    def oldest(self, following: EventNumber) -> EventNumber:
        """The event of the first answer that is kept; `following` when none is."""
        for _, answer in self._answers.values():
            return answer.event
        return following
