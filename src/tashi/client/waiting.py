"""Waiting until instances are where a command was to bring them, by following the events.

The event to follow from is asked for before the command is sent, so nothing that the command causes
can be missed; events of earlier operations are passed over. An instance has arrived in one of the
goal's states, has failed when it is held or comes to rest elsewhere, and is otherwise on its way.
Of one that no host takes for a while it is asked why, once.
Events that are no longer kept are made up for by looking at the whole once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tashi.client.cluster import Cluster
from tashi.client.terminal import Note, Shows
from tashi.domain.errors import Failed, NoSuchInstance, TimedOut, TooOld
from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState, Phase, facts
from tashi.wire.answers import WhyForm
from tashi.wire.forms import EventsForm, InstanceForm

Goal = frozenset[InstanceState]
Clock = Callable[[], float]

_News = tuple[int, InstanceForm | None]
"""An instance's id and its record, None when it has none any more."""

_ONE_LOOK_SECONDS: Final = 30.0
_CLOSE_LOOK_SECONDS: Final = 1.0
_PATIENT_SECONDS: Final = 5.0
_UNDER_WAY: Final = {Phase.MOVING, Phase.LOST}


@dataclass(frozen=True, slots=True)
class Fate:
    """What an instance last was; `is_gone` says that it is not even that any more."""

    instance: InstanceForm
    is_gone: bool = False

    @property
    def words(self) -> str:
        """What it is, in a word."""
        return "gone" if self.is_gone else self.instance.state.title

    def __str__(self) -> str:
        return f"{self.instance.name} is {self.words}"


def has_arrived(fate: Fate, goal: Goal) -> bool:
    """Whether an instance is where it was to go; Failed when it has come to rest elsewhere."""
    instance, state = fate.instance, fate.instance.state
    if fate.is_gone and InstanceState.EXITED not in goal:
        raise Failed(f"{fate}.", instance=instance.id)
    if fate.is_gone or state in goal:
        return True
    row = facts(state)
    resting = row.phase not in _UNDER_WAY and row.order is None
    if not resting or state is InstanceState.PENDING:
        return False
    reason = f": {instance.reason}" if instance.reason else "."
    raise Failed(f"{fate}{reason}", instance=instance.id)


class Vigil:
    """A wait that begins before its command is sent, and lasts at most as long as was said."""

    def __init__(
        self, cluster: Cluster, goal: Goal, clock: Clock, limit_seconds: float | None = None
    ) -> None:
        self._cluster = cluster
        self._goal = goal
        self._clock = clock
        self._limit = limit_seconds
        self._began = clock()
        self._since = cluster.next_event()
        self._awaited: dict[int, InstanceForm] = {}
        self._arrived: dict[int, Fate] = {}
        self._seen: dict[int, InstanceForm] = {}
        self._failures: list[Failed] = []
        self._explained: set[int] = set()
        self._longest = _ONE_LOOK_SECONDS

    def last_seen(self, accepted: Sequence[InstanceForm]) -> list[InstanceForm]:
        """The instances as they were when they were last heard of, or else as they are given."""
        return [self._seen.get(one.id, one) for one in accepted]

    def until_there(
        self, accepted: Sequence[InstanceForm], note: Note, shows: Shows | None = None
    ) -> tuple[Fate, ...]:
        """Wait for the instances that a command was accepted for; returns what became of them.

        Where there is somebody to show it to, it is asked every second how far their moves are.
        Raises TimedOut when the time is over, and Failed when none is on its way any more and one
        has come to rest elsewhere.
        """
        self._awaited = {one.id: one for one in accepted}
        self._longest = _ONE_LOOK_SECONDS if shows is None else _CLOSE_LOOK_SECONDS
        for one in accepted:
            self._take(one.id, one, note)
        while self._awaited:
            for instance_id, instance in self._news():
                self._take(instance_id, instance, note)
            self._explain(note)
            if shows is not None:
                self._look_closer(shows)
        if self._failures:
            raise self._failure(len(accepted))
        return tuple(self._arrived[one.id] for one in accepted)

    def _take(self, instance_id: int, seen: InstanceForm | None, note: Note) -> None:
        last = self._awaited.get(instance_id)
        if last is None or (seen is not None and seen.operation < last.operation):
            return
        now = seen or last
        fate = Fate(now, is_gone=seen is None or now.state is InstanceState.EXITED)
        self._awaited[instance_id] = self._seen[instance_id] = now
        try:
            if has_arrived(fate, self._goal):
                self._arrived[instance_id] = fate
                del self._awaited[instance_id]
        except Failed as failed:
            self._failures.append(failed)
            del self._awaited[instance_id]
        note(str(fate), len(self._arrived) + len(self._failures))

    def _explain(self, note: Note) -> None:
        """Say why the first of those that wait for a host has none yet, once time has passed."""
        if self._clock() < self._began + _PATIENT_SECONDS:
            return
        for one in self._unexplained()[:1]:
            self._explained.add(one.id)
            words = f"{Fate(one)}. {self._why(one)}"
            note(words, len(self._arrived) + len(self._failures))

    def _unexplained(self) -> list[InstanceForm]:
        return [
            one
            for one in self._awaited.values()
            if one.state is InstanceState.PENDING and one.id not in self._explained
        ]

    def _why(self, one: InstanceForm) -> str:
        try:
            return self._cluster.calls.call("why", WhyForm, instance_id=one.id).words
        except NoSuchInstance as gone:  # an event that says so is on its way
            return gone.message

    def _look_closer(self, shows: Shows) -> None:
        for instance_id in list(self._awaited):
            found = self._cluster.calls.call(
                "getInstances", tuple[InstanceForm, ...], instance_id=instance_id
            )
            for progress in (one.progress for one in found if one.progress is not None):
                shows(progress)

    def _news(self) -> list[_News]:
        only = next(iter(self._awaited)) if len(self._awaited) == 1 else None
        try:
            events = self._cluster.calls.call(
                "watch", EventsForm, since=self._since, timeout=self._patience(), instance_id=only
            )
        except TooOld:
            return self._look_at_all()
        self._since = events.next
        ours = (entry for entry in events.events if entry.kind is Kind.INSTANCE)
        return [(entry.key, entry.instance) for entry in ours]

    def _look_at_all(self) -> list[_News]:
        snapshot = self._cluster.snapshot()
        self._since = snapshot.next
        there = {one.id: one for one in snapshot.instances}
        return [(one, there.get(one)) for one in self._awaited]

    def _patience(self) -> float:
        longest = min(self._longest, _PATIENT_SECONDS) if self._unexplained() else self._longest
        if self._limit is None:
            return longest
        left = self._began + self._limit - self._clock()
        if left <= 0:
            one, *others = self._awaited.values()
            more = f", and {len(others)} more are not there yet" if others else ""
            why = f" {self._why(one)}" if one.state is InstanceState.PENDING else ""
            raise TimedOut(
                f"{one.name} is still {one.state.title} after {self._limit:g} s{more}; "
                f"the wait is over, the work goes on.{why}",
                instance=one.id,
            )
        return min(left, longest)

    def _failure(self, accepted: int) -> Failed:
        first = self._failures[0]
        if accepted == 1:
            return first
        return Failed(
            f"{len(self._failures)} of {accepted} have failed. The first: {first.message}",
            **first.about,
        )
