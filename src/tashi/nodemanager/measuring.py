"""Looks at what is counted of the guests, at regular times, and says what they used in between.

The look waits for QEMU, so it is taken in the lane ``counters``; there is one at a time, and when
it takes longer than the time between two, the next one is later. All else belongs to the node's
writer thread.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from logging import getLogger
from typing import Final

from tashi.domain.errors import TashiError
from tashi.domain.guest import Stats
from tashi.domain.identity import InstanceId
from tashi.nodemanager.rates import used
from tashi.ports.clock import Clock
from tashi.ports.hypervisor import Counters, Hypervisor
from tashi.ports.workers import Job, Workers

_log = getLogger(__name__)

_LANE: Final = "counters"

Measured = Mapping[InstanceId, Stats]


class Measuring:
    """Tells `told` what guests used, every `interval_seconds`; if that is 0, never."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        workers: Workers,
        clock: Clock,
        post: Callable[[Job], None],
        told: Callable[[Measured], None],
        interval_seconds: float,
    ) -> None:
        self._hypervisor = hypervisor
        self._workers = workers
        self._clock = clock
        self._post = post
        self._told = told
        self._interval = interval_seconds
        self._due = clock.monotonic()
        self._looking = False
        self._before: dict[InstanceId, Counters] = {}

    def tick(self) -> None:
        """Look, if it is time."""
        now = self._clock.monotonic()
        if self._interval > 0 and now >= self._due and not self._looking:
            self._due = now + self._interval
            self._looking = True
            self._workers.run(_LANE, self._look)

    def _look(self) -> None:
        found: Sequence[Counters] = ()
        try:
            found = self._hypervisor.counters()
        except TashiError as error:
            _log.warning("What the guests use was not found out: %s", error)
        finally:
            self._post(partial(self._looked, found))

    def _looked(self, found: Sequence[Counters]) -> None:
        self._looking = False
        before, self._before = self._before, {one.instance_id: one for one in found}
        pairs = ((before[one.instance_id], one) for one in found if one.instance_id in before)
        stats = {after.instance_id: used(earlier, after) for earlier, after in pairs}
        measured = {key: one for key, one in stats.items() if one is not None}
        if measured:
            self._told(measured)
