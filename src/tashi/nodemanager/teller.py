"""What is true of guests right now, on its way to the cluster manager's board.

Unlike a report, a glimpse may be lost: another follows, and nothing is decided by it. So there is
one message under way at a time, and of each guest only the latest is kept for the next. What cannot
be told is dropped: while the cluster manager is away nothing piles up, and reports do not wait.

Everything here belongs to the node's writer thread, but for the call itself, which waits in the
lane ``board`` and comes back through `post`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from logging import getLogger
from typing import Final

from tashi.domain.errors import TashiError
from tashi.domain.guest import Glimpse
from tashi.nodemanager.outbox import Registrar
from tashi.ports.workers import Job, Workers
from tashi.wire.forms import SessionForm

_log = getLogger(__name__)

_LANE: Final = "board"
MOST_GUESTS_AT_ONCE: Final = 200


class Teller:
    """Tells glimpses in the `session` that is open, if one is."""

    def __init__(
        self,
        registrar: Registrar,
        workers: Workers,
        post: Callable[[Job], None],
        session: Callable[[], SessionForm | None],
    ) -> None:
        self._registrar = registrar
        self._workers = workers
        self._post = post
        self._session = session
        self._waiting: dict[int, Glimpse] = {}
        self._speaking = False

    def tell(self, glimpses: Sequence[Glimpse]) -> None:
        """Tell these soon, in place of what still waits to be told of the same guests."""
        for one in glimpses:
            self._waiting[one.instance_id] = _later(self._waiting.get(one.instance_id), one)
        self._speak_next()

    def _speak_next(self) -> None:
        session = self._session()
        if session is None:
            self._waiting.clear()
        if self._speaking or session is None or not self._waiting:
            return
        keys = list(islice(self._waiting, MOST_GUESTS_AT_ONCE))
        glimpses = [self._waiting.pop(key) for key in keys]
        self._speaking = True
        self._workers.run(_LANE, partial(self._speak, session, glimpses))

    def _speak(self, session: SessionForm, glimpses: Sequence[Glimpse]) -> None:
        try:
            self._registrar.tell(session, glimpses)
        except TashiError as error:
            _log.info("What is known of %d guests was not told: %s", len(glimpses), error)
        finally:
            self._post(self._spoken)

    def _spoken(self) -> None:
        self._speaking = False
        self._speak_next()


def _later(earlier: Glimpse | None, one: Glimpse) -> Glimpse:
    """One glimpse of a guest out of two; what the later does not speak of stays."""
    if earlier is None:
        return one
    progress = earlier.progress if earlier.operation == one.operation else None
    return replace(one, stats=one.stats or earlier.stats, progress=one.progress or progress)
