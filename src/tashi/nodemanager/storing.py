"""Disks that could not be put into the image store: when they are tried again.

A try that failed is followed by another, at growing intervals, for as long as the disks are to go
there: a store that is full, or away, is not asked for more than it can bear. People see what was
the matter, and when the next try is.

Everything here belongs to the node's writer thread.
"""

from collections.abc import Callable, Sequence
from functools import partial
from logging import getLogger
from typing import Final

from tashi.domain.errors import StoreFailed
from tashi.domain.guest import Glimpse, Progress
from tashi.domain.identity import InstanceId, Operation
from tashi.nodemanager.guests import NOT_STORED
from tashi.ports.workers import Job, Workers
from tashi.wire.forms import OrderForm, ReportForm

_log = getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 600.0
_DOUBLINGS: Final = 6


class Storing:
    """Counts the tries of each guest.

    `begin` tries an order once more, `tell` lets people know, and `post` brings a job to the
    writer.
    """

    def __init__(
        self,
        workers: Workers,
        post: Callable[[Job], None],
        tell: Callable[[Sequence[Glimpse]], None],
        begin: Callable[[OrderForm], None],
    ) -> None:
        self._workers = workers
        self._post = post
        self._tell = tell
        self._begin = begin
        self._tries: dict[InstanceId, int] = {}

    def concluded(self, order: OrderForm, outcome: ReportForm | None, *, wanted: bool) -> None:
        """Go on after a try with that outcome, if the disks are `wanted` in the store still."""
        if wanted and outcome is not None and outcome.kind == NOT_STORED:
            self._try_later(order, outcome.words)
        else:
            self._tries.pop(InstanceId(order.instance_id), None)

    def _try_later(self, order: OrderForm, words: str) -> None:
        key = InstanceId(order.instance_id)
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(tries - 1, _DOUBLINGS), LONGEST_PAUSE_SECONDS)
        failed = Progress(words=f"{words} The next try comes {pause:.0f} s after this one.")
        self._tell(
            [Glimpse(instance_id=key, operation=Operation(order.operation), progress=failed)]
        )
        _log.info("Instance %d: its disks are put into the image store in %.0f s.", key, pause)
        due = partial(self._try_now, key, tries, order)
        self._workers.after(pause, f"store {key}", partial(self._post, due))

    def _try_now(self, key: InstanceId, tries: int, order: OrderForm) -> None:
        if self._tries.get(key) != tries:
            return  # it was tried in between, or is not wanted any more
        try:
            self._begin(order)
        except StoreFailed as error:
            self._try_later(order, error.message)
