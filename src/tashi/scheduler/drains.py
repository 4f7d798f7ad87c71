"""The hosts that are being emptied, and which of their running instances are to be moved now.

Each such host has a queue of its own: an instance that no host takes is set aside until room is
made, and one whose move failed or was refused is left alone for a while, longer each time. All
hosts are planned for together, so that none is given what another was promised; of each host's
moves only a few are under way at once.

What is known of failures is not durable: a scheduler that is started anew tries at once.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from tashi.domain.books import Books
from tashi.domain.events import Migrate
from tashi.domain.identity import HostId, InstanceId, Operation
from tashi.domain.instance import Instance
from tashi.domain.placement.drain import Evacuation, drain_plan, is_movable
from tashi.domain.placement.fate import Fate
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.domain.placement.ranking import Ranking
from tashi.domain.transitions import step
from tashi.scheduler.queue import Pauses, Queue

USUAL_MOVES_AT_ONCE: Final = 2


class Drains:
    """Times are seconds on a monotonic clock; `at_once` limits the moves off each host."""

    def __init__(self, policy: Policy, pauses: Pauses, at_once: int) -> None:
        self._policy = policy
        self._pauses = pauses
        self._at_once = at_once
        self._queues: dict[HostId, Queue] = {}
        self._failures: dict[InstanceId, int] = {}
        self._proposed: dict[InstanceId, HostId] = {}

    # ---- what it is told ----------------------------------------------------------------------

    def begin(self, books: Books, now: float) -> None:
        """Forget everything and go on from those books."""
        self._queues, self._failures, self._proposed = {}, {}, {}
        for key, host in books.hosts.items():
            if host.draining:
                self.enter_host(key, books, now)

    def enter_host(self, key: HostId, books: Books, now: float) -> None:
        """A host is not what it was: it may be one to be emptied now, or have become a target."""
        host = books.hosts.get(key)
        if host is None or not host.draining:
            self._queues.pop(key, None)
        else:
            self._queues.setdefault(key, Queue(self._pauses))
            for one in books.concerning(key):
                self._take(one, books, now)
        self.make_room()

    def enter_instance(self, key: InstanceId, before: Books, after: Books, now: float) -> None:
        """An instance is not what it was: its move may have failed, or it may be movable now."""
        if not self._queues:
            return
        then, one = before.instances.get(key), after.instances.get(key)
        if one is None or then is None or one.host_id != then.host_id:
            self._failures.pop(key, None)
        failed = then is not None and _has_failed(then, one)
        if failed:
            self._failures[key] = self._failures.get(key, 0) + 1
        for host, queue in self._queues.items():
            if one is None or one.host_id != host:
                queue.leave(key)
        if one is None:
            return
        self._take(one, after, now)
        queue_of = None if one.host_id is None else self._queues.get(one.host_id)
        if failed and then is not None and then.target_id is not None and queue_of is not None:
            queue_of.avoid(key, then.target_id)

    def answered(
        self, books: Books, verdicts: Iterable[Verdict], now: float
    ) -> Iterator[tuple[Instance, HostId]]:
        """The records of those whose move was accepted, and where each goes."""
        for verdict in verdicts:
            target = self._proposed.pop(verdict.instance_id, None)
            one = books.instances.get(verdict.instance_id)
            queue = self._queues.get(one.host_id) if one and one.host_id is not None else None
            if target is None or one is None or queue is None:
                continue
            if verdict.accepted:
                queue.leave(one.id)
                yield step(one, Migrate(Operation(0), target)).record, target
            else:
                queue.refuse(one.id, target, now)

    def hear_news(self) -> None:
        """Something changed in the cluster."""
        for queue in self._queues.values():
            queue.hear_news()

    def make_room(self) -> None:
        """Something changed that may let in what fitted nowhere."""
        for queue in self._queues.values():
            queue.make_room()

    # ---- what it says -------------------------------------------------------------------------

    def moves(self, books: Books, ranking: Ranking, now: float) -> tuple[Proposal, ...]:
        """The moves to propose now; the same again until they are answered or there is news."""
        free = {key: free for key in self._queues if (free := self._free(key, books)) > 0}
        ready = {key: queue.ready(now) for key, queue in self._queues.items() if key in free}
        if not any(ready.values()):
            return ()
        asked = Evacuation(
            hosts=sorted(self._queues),
            only=frozenset().union(*ready.values()),
            refused_by={
                one: self._queues[key].refused_by(one)
                for key, ones in ready.items()
                for one in ones
            },
        )
        self._proposed = {}
        for one in drain_plan(books, ranking, asked, self._policy).evacuees:
            key = one.instance.id
            if one.fate is Fate.MOVES and one.target_id is not None and free[one.host_id] > 0:
                free[one.host_id] -= 1
                self._proposed[key] = one.target_id
            elif one.tally:
                self._queues[one.host_id].set_aside(key, curious="near" in one.instance.hints)
        return tuple(Proposal(key, target) for key, target in self._proposed.items())

    def due_in(self, books: Books, now: float) -> float | None:
        """Seconds until there may be a move to propose; ``None`` when that depends on news."""
        due = [
            queue.due_in(now) for key, queue in self._queues.items() if self._free(key, books) > 0
        ]
        return min((one for one in due if one is not None), default=None)

    # ---- how it keeps its queues --------------------------------------------------------------

    def _take(self, one: Instance, books: Books, now: float) -> None:
        queue = None if one.host_id is None else self._queues.get(one.host_id)
        if queue is None or one.host_id is None:
            return
        if is_movable(one, books.hosts[one.host_id]):
            queue.wait(one.id, self._failures.get(one.id, 0), now)
        else:
            queue.leave(one.id)

    def _free(self, key: HostId, books: Books) -> int:
        """How many more moves off that host may begin."""
        here = (one for one in books.concerning(key) if one.host_id == key)
        return self._at_once - sum(one.target_id is not None for one in here)


def _has_failed(before: Instance, after: Instance | None) -> bool:
    """Whether a move came to nothing: the instance is where it was, and goes nowhere any more."""
    if after is None or before.target_id is None or after.target_id is not None:
        return False
    return after.host_id == before.host_id
