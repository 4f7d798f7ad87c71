"""What users used: how long their instances were there on hosts, and with how much.

An instance is charged while its state says so (`Facts.is_charged`), for the cores and the memory
that it has meanwhile: so a suspended one costs nothing, a moving one is charged once, and what a
silent host does is nobody's expense. Who reads the cluster's events in order feeds a `Tally` with
them; it keeps no more than the instances that there are.

Where events are missing, only what is proven is charged: up to the last event before, and from when
the state that an instance is in afterwards began.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tashi.domain.identity import InstanceId, Mib, UserId
from tashi.domain.states import InstanceState, facts


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts here of an instance; `since` is when its state last changed."""

    instance: InstanceId
    user: UserId
    cores: int
    memory: Mib
    state: InstanceState
    since: float


@dataclass(slots=True)
class Usage:
    """What one user used: so many instances, each for so long; memory in MiB times seconds."""

    instances: int = 0
    instance_seconds: float = 0.0
    core_seconds: float = 0.0
    memory_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """What each user used, and the times, each from and until, of which events are missing."""

    used: Mapping[UserId, Usage]
    gaps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Charge:
    standing: Standing
    since: float


class Tally:
    """Adds up what was used from `begin` until `end`, both in seconds since 1970."""

    def __init__(self, begin: float, end: float) -> None:
        self._begin = begin
        self._end = end
        self._heard = -math.inf
        self._open: dict[InstanceId, _Charge] = {}
        self._counted: set[InstanceId] = set()
        self._used: dict[UserId, Usage] = {}

    def stands(self, instances: Iterable[Standing]) -> None:
        """Hear of all instances at once, as events begin or are taken up again."""
        before, self._open = self._open, {}
        there = set()
        for one in instances:
            there.add(one.instance)
            known = before.get(one.instance)
            if known is not None and known.standing.since == one.since:
                self._open[one.instance] = before.pop(one.instance)
            elif facts(one.state).is_charged:
                self._open[one.instance] = _Charge(one, max(one.since, self._heard))
        for charge in before.values():
            self._close(charge, self._heard)
        self._counted &= there

    def heard(self, at: float) -> None:
        """Hear of an event at that time, whatever it is about."""
        self._heard = at

    def happened(self, at: float, instance: InstanceId, stands: Standing | None) -> None:
        """Hear of an event at that time, and how the instance stands since; None: it is gone."""
        self.heard(at)
        charge = self._open.pop(instance, None)
        if charge is not None:
            at = max(at, charge.since)
            self._close(charge, at)
        if stands is None:
            self._counted.discard(instance)
        elif facts(stands.state).is_charged:
            self._open[instance] = _Charge(stands, at)

    def result(self) -> Mapping[UserId, Usage]:
        """What each user used; ends the tally: what still goes on is charged until its end."""
        while self._open:
            _, charge = self._open.popitem()
            self._close(charge, self._end)
        return self._used

    def _close(self, charge: _Charge, at: float) -> None:
        seconds = min(at, self._end) - max(charge.since, self._begin)
        if seconds <= 0:
            return
        one = charge.standing
        used = self._used.setdefault(one.user, Usage())
        if one.instance not in self._counted:
            self._counted.add(one.instance)
            used.instances += 1
        used.instance_seconds += seconds
        used.core_seconds += seconds * one.cores
        used.memory_seconds += seconds * one.memory
