"""How long instances wait for a host, and how long they take to start, told as it happens.

What was under way when the cluster manager began is not timed: when it began is not known here.
Belongs to the ledger's thread; remembers only instances that wait or start.
"""

from collections.abc import Iterable
from typing import Final

from tashi.domain import metrics
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Entry, Kind, Put
from tashi.domain.states import InstanceState, Phase, facts
from tashi.ports.metrics import Meter

_STARTING: Final = {InstanceState.ACTIVATING, InstanceState.RESUMING}


class Timing:
    """Tells the meter of each wait and each start that ends well."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._since: dict[InstanceId, tuple[InstanceState, float]] = {}

    def note(self, entries: Iterable[Entry], now: float) -> None:
        """Take in what was committed at `now` (monotonic seconds)."""
        for entry in entries:
            if entry.change.kind is not Kind.INSTANCE:
                continue
            key = InstanceId(entry.change.key)
            record = entry.change.record if isinstance(entry.change, Put) else None
            assert record is None or isinstance(record, Instance)
            self._follow(key, None if record is None else record.state, now)

    def _follow(self, key: InstanceId, state: InstanceState | None, now: float) -> None:
        before, since = self._since.get(key, (None, now))
        if state is before:
            return
        if state in _STARTING and before is not None and before not in _STARTING:
            self._meter.took(metrics.WAITS, now - since)
        elif state is InstanceState.RUNNING and before in _STARTING:
            self._meter.took(metrics.STARTS, now - since)
        if state is not None and (state in _STARTING or facts(state).phase is Phase.WAITING):
            self._since[key] = state, now
        else:
            self._since.pop(key, None)
