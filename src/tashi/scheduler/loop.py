"""The scheduler's one thread: listen, plan, propose, and again.

The loop does not poll. It asks the cluster manager for news and lets it wait with the answer until
there is some, at most until a paused instance is due. A silent cluster manager is asked again with
growing pauses; meanwhile the books stay, since numbers of events outlive its restarts. The same
pauses follow a call that it refuses; what else there is to ask for does not wait for that one.

Nothing here sleeps: `turn` says how long to rest, and the program that calls it does.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from tashi.domain import metrics
from tashi.domain.books import books_of
from tashi.domain.errors import (
    Failed,
    NotLoggedIn,
    NotPermitted,
    Refused,
    TooOld,
    VersionMismatch,
)
from tashi.domain.following import Following
from tashi.domain.metrics import Reading
from tashi.ports.clock import Clock
from tashi.ports.cluster import ClusterManager
from tashi.ports.metrics import Meter, Unwatched
from tashi.scheduler.agent import Agent
from tashi.scheduler.clerk import Clerk

_log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_LISTEN_SECONDS: Final = 30.0
MOST_AT_ONCE: Final = 1000
"""So many instances, or cards of theirs, go in one call: a third of what a request may have."""


class Loop:
    """Carries news to the agent and its proposals back."""

    def __init__(
        self,
        agent: Agent,
        cluster: ClusterManager,
        clock: Clock,
        longest_listen_seconds: float = LONGEST_LISTEN_SECONDS,
        clerk: Clerk | None = None,
    ) -> None:
        self._meter: Meter = Unwatched()
        self._agent = agent
        self._cluster = cluster
        self._clock = clock
        self._longest = longest_listen_seconds
        self._clerk = clerk
        self._following = Following()
        self._ends = False

    def watched_by(self, meter: Meter) -> None:
        """Tell that meter, from now on, what is proposed and how long that takes."""
        self._meter = meter
        meter.ask(self._readings)

    @property
    def is_stale(self) -> bool:
        """Whether the cluster manager is silent, so that what the agent knows may be old."""
        return self._following.is_stale

    def end_soon(self) -> None:
        """Take it that the line is given up from now on; that it is silent is no news then."""
        self._ends = True

    def turn(self) -> float:
        """Listen once and propose what can be placed; how many seconds to rest before the next.

        Raised is only what keeps everything of this scheduler's from being heard: it is not
        permitted, or of another version.
        """
        steps = (self._see_to_names, self._propose, self._propose_moves)
        try:
            heard = self._is_heard(self._listen)
            for step in steps if heard else ():
                heard &= self._is_heard(step)
        except TooOld:
            _log.info("The cluster manager no longer keeps the next event: reading everything.")
            self._following = self._following.outdated()
        except Failed as failure:
            self._following = self._following.unanswered()
            pause = self._following.pause_seconds
            if not self._ends:
                _log.warning("%s Trying again in %.1f s.", failure.message, pause)
        else:
            known = self._following
            self._following = known.answered() if heard else known.unanswered()
        return self._following.pause_seconds

    def _is_heard(self, step: Callable[[], None]) -> bool:
        """Take a step; whether no call that it made was refused."""
        try:
            step()
        except (TooOld, NotPermitted, NotLoggedIn, VersionMismatch):
            raise
        except Refused as refusal:
            _log.error("The cluster manager refuses a call: %s", refusal.message)
            return False
        return True

    def _listen(self) -> None:
        since = self._following.next
        if since is None:
            snapshot = self._cluster.snapshot()
            self._agent.begin(books_of(snapshot.records), self._clock.monotonic())
            self._following = self._following.read(snapshot.next)
        else:
            news = self._cluster.watch(since, self._patience())
            self._agent.heard(news.entries, self._clock.monotonic())
            self._following = self._following.read(news.next)

    def _patience(self) -> float:
        """How long to listen: until somebody is due."""
        due = self._agent.wait_seconds(self._clock.monotonic())
        return self._longest if due is None else min(due, self._longest)

    def _see_to_names(self) -> None:
        """Book what is to be booked, and have the clerk tell whoever has yet to be told."""
        names, now = self._agent.names, self._clock.monotonic()
        changed = names.changed()
        if self._clerk is None:
            return
        for key, record in changed:
            self._clerk.serve(key, record, lacks_nothing=not names.lacks(record))
        for wishes in _parts(names.wishes(self._agent.books, now), lambda wish: len(wish[1])):
            try:
                verdicts = self._cluster.book(wishes)
            except Failed:
                names.unanswered(now)
                raise
            names.answered(self._agent.books, verdicts, now)
        for key, words in names.troubles().items():
            self._clerk.complain(self._agent.books.instances[key], words)

    def _propose(self) -> None:
        began = self._clock.monotonic()
        proposals = self._agent.tick(began)
        self._meter.took(metrics.PLANS, self._clock.monotonic() - began)
        for unplaced in self._agent.unplaced:
            _log.debug("%s", unplaced)
        for part in _parts(proposals):
            verdicts = self._cluster.place(part)
            self._agent.answered(verdicts, self._clock.monotonic())
            for verdict in verdicts:
                outcome = "accepted" if verdict.accepted else "refused"
                self._meter.count(metrics.PROPOSALS, outcome)
                if not verdict.accepted:
                    _log.info("Instance %d was not placed: %s", verdict.instance_id, verdict.words)

    def _readings(self) -> Iterator[Reading]:
        yield Reading(metrics.UNPLACED, len(self._agent.unplaced))

    def _propose_moves(self) -> None:
        for part in _parts(self._agent.moves(self._clock.monotonic())):
            verdicts = self._cluster.move(part)
            self._agent.moved(verdicts, self._clock.monotonic())
            for verdict in verdicts:
                if not verdict.accepted:
                    _log.info("Instance %d was not moved: %s", verdict.instance_id, verdict.words)


def _parts(asked: Iterable[T], weight: Callable[[T], int] = lambda _: 1) -> Iterator[list[T]]:
    """What is asked for, in order, in parts that a call has room for."""
    part: list[T] = []
    size = 0
    for one in asked:
        if part and size + weight(one) > MOST_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(one)
        size += weight(one)
    if part:
        yield part
