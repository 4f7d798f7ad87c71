"""What the scheduler knows and decides; it waits for nothing and asks nobody.

The agent is told what happened and what time it is, and says which proposals to make and how long
it has nothing to do. Its books follow the cluster manager's events. A placement that was accepted
is entered at once, ahead of the event that will say the same, so that the next plan does not give
away the room again.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tashi.domain.books import Books
from tashi.domain.identity import HostId, InstanceId, UserId
from tashi.domain.journal import Change, Entry, Kind
from tashi.domain.placement.draft import booked
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.plan import Proposal, Round, Unplaced, Verdict, plan
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import InstanceState
from tashi.scheduler.drains import USUAL_MOVES_AT_ONCE, Drains
from tashi.scheduler.names import NO_SITE, Names, Site
from tashi.scheduler.queue import Pauses, Queue

_USUAL_PAUSES: Final = Pauses()


class Agent:
    """The scheduler's mind. Times are seconds on a monotonic clock.

    `unplaced` are those for which the last tick found no host. `names` says who may start, and is
    told of every change here.
    """

    def __init__(
        self,
        policy: Policy,
        pauses: Pauses = _USUAL_PAUSES,
        moves_at_once: int = USUAL_MOVES_AT_ONCE,
        site: Site = NO_SITE,
    ) -> None:
        self._policy = policy
        self._pauses = pauses
        self._drains = Drains(policy, pauses, moves_at_once)
        self.names = Names(site, pauses)
        self._served_last: UserId | None = None
        self.unplaced: tuple[Unplaced, ...] = ()
        self.begin(Books(), 0.0)

    # ---- what it is told ----------------------------------------------------------------------

    def begin(self, books: Books, now: float) -> None:
        """Forget everything and go on from those books."""
        self._books = books
        self._ranking = Ranking(books, self._policy)
        self._queue = Queue(self._pauses)
        self._proposed: dict[InstanceId, HostId] = {}
        self._failed_at: dict[HostId, float] = {}
        self.names.begin(books, now)
        for key in books.waiting:
            if self.names.may_start(books.instances[key]):
                self._queue.take(books.instances[key], now)
        self._drains.begin(books, now)

    def heard(self, entries: Sequence[Entry], now: float) -> None:
        """Enter what happened in the cluster."""
        for entry in entries:
            self._enter(entry.change, now)
        if entries:
            self._queue.hear_news()
            self._drains.hear_news()

    def answered(self, verdicts: Iterable[Verdict], now: float) -> None:
        """Enter what became of the proposals of the last tick."""
        for verdict in verdicts:
            key = verdict.instance_id
            host = self._proposed.pop(key, None)
            if host is None or key not in self._books.waiting or not self._queue.has(key):
                continue
            if verdict.accepted:
                self._accept(key, host)
            else:
                self._queue.refuse(key, host, now)

    def moved(self, verdicts: Iterable[Verdict], now: float) -> None:
        """Enter what became of the moves that were proposed."""
        for record, target in self._drains.answered(self._books, verdicts, now):
            self._books = self._books.put(record)
            self._ranking.refresh(self._books, target)

    @property
    def books(self) -> Books:
        """The books as far as they are known here."""
        return self._books

    # ---- what it says -------------------------------------------------------------------------

    def tick(self, now: float) -> tuple[Proposal, ...]:
        """The proposals to make now; the same again until they are answered or there is news."""
        ready = self._queue.ready(now)
        failing = self._failing(now)
        refused_by = {
            key: hosts for key in ready if (hosts := self._queue.refused_by(key) | failing)
        }
        asked = Round(ready, self._served_last, refused_by=refused_by)
        made = plan(self._books, self._ranking, asked, self._policy)
        for unplaced in made.unplaced:
            one = unplaced.instance
            self._queue.set_aside(one.id, curious="near" in one.hints)
        self._proposed = {one.instance_id: one.host_id for one in made.proposals}
        self.unplaced = made.unplaced
        return made.proposals

    def moves(self, now: float) -> tuple[Proposal, ...]:
        """The moves to propose now, so that hosts which are being emptied become empty."""
        return self._drains.moves(self._books, self._ranking, now)

    def wait_seconds(self, now: float) -> float | None:
        """How long there is nothing to do unless there is news; ``None``: until there is."""
        due = [
            self._queue.due_in(now),
            self._drains.due_in(self._books, now),
            self.names.due_in(now),
        ]
        return min((one for one in due if one is not None), default=None)

    # ---- how it keeps its books ---------------------------------------------------------------

    def _enter(self, change: Change, now: float) -> None:
        before = self._books
        self._books = before.apply(change)
        if change.kind is Kind.HOST:
            self._ranking.refresh(self._books, HostId(change.key))
            self._queue.make_room()
            self._drains.enter_host(HostId(change.key), self._books, now)
        elif change.kind is Kind.INSTANCE:
            self._enter_instance(InstanceId(change.key), before, now)
            self._drains.enter_instance(InstanceId(change.key), before, self._books, now)

    def _enter_instance(self, key: InstanceId, before: Books, now: float) -> None:
        self.names.enter(key, before.instances.get(key), self._books.instances.get(key), now)
        left, taken = _hosts(before, key), _hosts(self._books, key)
        for host in left | taken:
            self._ranking.refresh(self._books, host)
        record = self._books.instances.get(key)
        if record is not None and record.state is InstanceState.HELD:
            # Whatever it was, it may be the host's own trouble, such as a lost image folder.
            self._failed_at.update(dict.fromkeys(left - taken, now))
        if record is not None and key in self._books.waiting and self.names.may_start(record):
            self._queue.take(record, now)
        else:
            self._queue.leave(key)
        if left - taken or len(self._books.attached) < len(before.attached):
            self._queue.make_room()
            self._drains.make_room()

    def _failing(self, now: float) -> frozenset[HostId]:
        """The hosts on which a start failed a moment ago: others are tried before them."""
        since = now - self._pauses.longest_seconds
        self._failed_at = {host: at for host, at in self._failed_at.items() if at > since}
        return frozenset(self._failed_at)

    def _accept(self, key: InstanceId, host: HostId) -> None:
        one = self._books.instances[key]
        self._books = self._books.put(booked(one, host))
        self._ranking.refresh(self._books, host)
        self._queue.leave(key)
        self._served_last = one.user_id


def _hosts(books: Books, key: InstanceId) -> frozenset[HostId]:
    one = books.instances.get(key)
    return frozenset() if one is None else frozenset(one.hosts)
