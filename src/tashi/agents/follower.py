"""From the cluster manager's events to the journal: every event exactly once.

The follower asks for the events that follow the journal's last one, so it goes on where it left
off, whoever of the two was away. Where that is not possible (at its first start, when events are no
longer kept, when the books were put back to an earlier time) it begins a new volume with how things
stand; nothing else can say what happened in between. A volume that has grown enough is followed by
another that begins where it ends.

It waits for news at the cluster manager and never sleeps: `turn` says how long to rest.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tashi.domain.errors import Failed, TooOld
from tashi.domain.following import Following
from tashi.domain.identity import EventNumber
from tashi.ports.clock import Clock
from tashi.ports.journal import JournalWriter
from tashi.wire import history
from tashi.wire.calls import Calls
from tashi.wire.forms import EntryForm, EventsForm, SnapshotForm

_log = logging.getLogger(__name__)

LONGEST_LISTEN_SECONDS: Final = 30.0


class Follower:
    """Writes the journal; `grown` is called whenever it has grown.

    A volume that has grown by `volume_bytes` is followed by another.
    """

    def __init__(
        self,
        calls: Calls,
        journal: JournalWriter,
        clock: Clock,
        volume_bytes: int,
        grown: Callable[[], None] = lambda: None,
    ) -> None:
        self._calls = calls
        self._journal = journal
        self._clock = clock
        self._volume_bytes = volume_bytes
        self._grown = grown
        self._following = Following(next=journal.next())
        self._ends = False

    @property
    def next(self) -> EventNumber:
        """The number of the event that is to be heard next; 0 when nobody knows."""
        return self._following.next or EventNumber(0)

    def end_soon(self) -> None:
        """Take it that the line is given up from now on; that it is silent is no news then."""
        self._ends = True

    def turn(self) -> float:
        """Listen once and write down what is heard; how many seconds to rest before the next.

        A refusal of the whole call (not permitted, another version) is raised.
        """
        try:
            self._listen()
            self._following = self._following.answered()
        except TooOld as gone:
            _log.warning("%s What happened in between stays unknown.", gone.message)
            self._following = self._following.outdated()
        except Failed as failure:
            self._following = self._following.unanswered()
            pause = self._following.pause_seconds
            if not self._ends:
                _log.warning("%s Trying again in %.1f s.", failure.message, pause)
        return self._following.pause_seconds

    def _listen(self) -> None:
        since = self._journal.next()
        if since is None or self._following.next is None:
            self._begin(self._snapshot())
        elif self._journal.grown >= self._volume_bytes:
            self._turn_over(since)
        else:
            self._hear(since, LONGEST_LISTEN_SECONDS)

    def _hear(self, since: EventNumber, patience: float, until: int | None = None) -> EventNumber:
        """Write down the events from `since` on, but for those from `until` on; what comes next."""
        news = self._calls.call("watch", EventsForm, since=since, timeout=patience)
        self._append([one for one in news.events if until is None or one.number < until])
        following = EventNumber(news.next if until is None else min(news.next, until))
        self._following = self._following.read(following)
        return following

    def _turn_over(self, since: EventNumber) -> None:
        """Begin another volume exactly where this one ends."""
        snapshot = self._snapshot()
        while since < snapshot.next:
            since = self._hear(since, 0.0, until=snapshot.next)
        self._begin(snapshot)

    def _snapshot(self) -> SnapshotForm:
        return self._calls.call("getSnapshot", SnapshotForm)

    def _begin(self, snapshot: SnapshotForm) -> None:
        at = self._clock.wall()
        self._journal.begin(history.first_line(snapshot, at), at)
        self._following = replace(self._following, next=EventNumber(snapshot.next))
        self._grown()

    def _append(self, events: list[EntryForm]) -> None:
        if events:
            self._journal.append(history.event_lines(events))
            self._grown()
