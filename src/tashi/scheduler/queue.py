"""The instances that wait for a host, and when each is to be looked at again.

An instance is *ready* when it should be planned for now. One that fits nowhere is set aside until
room is made; one that failed to start, or was refused, is *paused*, longer each time. Looking at an
instance again for no reason is what makes schedulers slow, so each way back to ready has its cause:
room was made, news came (for those that hang on other instances), or a pause is over.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush

from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to leave an instance alone after a failure: doubled each time, up to the longest."""

    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, one at least."""
        return min(self.first_seconds * 2.0 ** min(failures - 1, 30), self.longest_seconds)


@dataclass(slots=True)
class _Place:
    """What the queue knows of one instance; `due` is when its pause ends, if it is paused."""

    failures: int
    refusals: int = 0
    refused_by: set[HostId] = field(default_factory=set)
    due: float | None = None


class Queue:
    """Who waits, who is ready, who is paused until when. Times are seconds on a monotonic clock."""

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._places: dict[InstanceId, _Place] = {}
        self._ready: set[InstanceId] = set()
        self._set_aside: set[InstanceId] = set()
        self._curious: set[InstanceId] = set()
        self._timetable: list[tuple[float, InstanceId]] = []

    # ---- what happens -------------------------------------------------------------------------

    def take(self, one: Instance, now: float) -> None:
        """It waits, and this is its record now. A pause that has begun goes on."""
        failures = max(one.tries, 1) if one.state is InstanceState.HELD else one.tries
        self.wait(one.id, failures, now)

    def wait(self, key: InstanceId, failures: int, now: float) -> None:
        """It waits, after so many failures in a row. A pause that has begun goes on."""
        place = self._places.get(key)
        if place is not None and place.failures == failures and place.due is not None:
            return
        self.leave(key)
        self._places[key] = _Place(failures)
        if failures:
            self._pause(key, now + self._pauses.after(failures))
        else:
            self._ready.add(key)

    def avoid(self, key: InstanceId, host: HostId) -> None:
        """That host did not do for it: others are preferred until its record changes."""
        if key in self._places:
            self._places[key].refused_by.add(host)

    def leave(self, key: InstanceId) -> None:
        """It does not wait any more. Harmless when it did not."""
        self._places.pop(key, None)
        self._ready.discard(key)
        self._set_aside.discard(key)
        self._curious.discard(key)

    def set_aside(self, key: InstanceId, *, curious: bool) -> None:
        """It fits nowhere until room is made, or, if it is curious, until there is any news."""
        self._ready.discard(key)
        (self._curious if curious else self._set_aside).add(key)

    def refuse(self, key: InstanceId, host: HostId, now: float) -> None:
        """It was refused on that host.

        The first time our books were probably late, so it is looked at again with the next news. If
        that does not help, it is paused like one that failed.
        """
        place = self._places[key]
        place.refusals += 1
        place.refused_by.add(host)
        self._ready.discard(key)
        self._pause(key, now + self._pauses.after(place.refusals))
        if place.refusals == 1:
            self._curious.add(key)

    def hear_news(self) -> None:
        """Something changed in the cluster."""
        for key in tuple(self._curious):
            self._make_ready(key)

    def make_room(self) -> None:
        """Something changed that may let in what fitted nowhere."""
        for key in tuple(self._set_aside):
            self._make_ready(key)

    # ---- questions ----------------------------------------------------------------------------

    def has(self, key: InstanceId) -> bool:
        """Whether it waits here."""
        return key in self._places

    def ready(self, now: float) -> frozenset[InstanceId]:
        """Those to be planned for now."""
        while self._timetable and self._timetable[0][0] <= now:
            due, key = heappop(self._timetable)
            if self._is_due(key, due):
                self._make_ready(key)
        return frozenset(self._ready)

    def due_in(self, now: float) -> float | None:
        """Seconds until somebody will be ready; ``None`` when that depends on news."""
        if self._ready:
            return 0.0
        while self._timetable and not self._is_due(self._timetable[0][1], self._timetable[0][0]):
            heappop(self._timetable)
        return max(self._timetable[0][0] - now, 0.0) if self._timetable else None

    def refused_by(self, key: InstanceId) -> frozenset[HostId]:
        """The hosts on which it was refused since its record last changed."""
        return frozenset(self._places[key].refused_by)

    # ---- the ways in and out ------------------------------------------------------------------

    def _pause(self, key: InstanceId, due: float) -> None:
        self._places[key].due = due
        heappush(self._timetable, (due, key))

    def _is_due(self, key: InstanceId, due: float) -> bool:
        """Whether that line of the timetable still holds."""
        place = self._places.get(key)
        return place is not None and place.due == due

    def _make_ready(self, key: InstanceId) -> None:
        self._places[key].due = None
        self._set_aside.discard(key)
        self._curious.discard(key)
        self._ready.add(key)
