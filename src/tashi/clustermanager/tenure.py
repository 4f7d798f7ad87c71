"""For how long what this cluster manager knows may be told and acted on.

Where the books have a lease, another cluster manager may take over once our commits have stopped
for a while (`tashi.domain.succession`). Every commit that succeeds proves that nobody had done so;
the proof is as old as the commit's beginning. When the last one is too old, nobody is answered, not
even with what was read, and no node is told anything. The next commit that succeeds ends that: it
proves as well that nobody has led meanwhile. One that meets another's lease ends the process.

A store without a lease has one owner for as long as that one lives, and its tenure never ends.

The ledger's thread proves; any thread may ask.
"""

from logging import getLogger
from math import inf
from typing import Final

from tashi.domain.errors import NotLeader, TashiError
from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Commit, Kept
from tashi.domain.succession import MARGIN_SECONDS
from tashi.ports.clock import Clock
from tashi.ports.peers import Caller, Handler, Peer, Promise
from tashi.ports.store import Store
from tashi.wire.chaining import then

_log = getLogger(__name__)

PULSE_SECONDS: Final = 0.5
"""A leader that has committed nothing for so long commits nothing at its next tick."""


class Tenure:
    """Ends when nothing was proven for so many `seconds`, and goes on with the next proof."""

    def __init__(self, clock: Clock, seconds: float = inf) -> None:
        self._clock = clock
        self._seconds = seconds
        self._proven_at = clock.monotonic() if seconds == inf else -inf
        self._trouble = ""

    def prove(self, at: float, trouble: str = "") -> None:
        """Count from that moment on, or note what keeps us from it."""
        self._trouble = trouble
        if not trouble:
            self._proven_at = at

    def weigh_loading(self, took: float) -> None:
        """Warn where books that took so many seconds to load may cost a next leader its lease."""
        take_over_after = self._seconds + MARGIN_SECONDS
        if took > take_over_after / 2:
            _log.warning(
                "Loading the books took %.1f s, and takeOverAfter is %g s: whoever loads for "
                "longer than that is taken for dead. Set it to more than twice the time that "
                "loading takes, for all cluster managers.",
                took,
                take_over_after,
            )

    @property
    def wants_proof(self) -> bool:
        """Whether a commit is due that only says that we live."""
        return self._seconds != inf and self._idle() >= PULSE_SECONDS

    def expect(self, sent: str = "no") -> None:
        """Raise NotLeader when another may have taken over; `sent` says what may have been done."""
        idle = self._idle()
        if idle > self._seconds:
            why = f" ({self._trouble.rstrip('.')})" if self._trouble else ""
            raise NotLeader(
                f"This cluster manager could commit nothing for {idle:.0f} s{why}: another may "
                "lead by now.",
                sent=sent,
            )

    def _idle(self) -> float:
        return self._clock.monotonic() - self._proven_at


class ProvingStore:
    """A store whose commits prove the tenure of who makes them."""

    def __init__(self, store: Store, tenure: Tenure, clock: Clock) -> None:
        self._store = store
        self._tenure = tenure
        self._clock = clock

    def load(self) -> Kept:
        """All that is kept."""
        began = self._clock.monotonic()
        kept = self._store.load()
        self._tenure.weigh_loading(self._clock.monotonic() - began)
        return kept

    def look(self) -> Kept:
        """What is kept at this moment."""
        return self._store.look()

    def fill(self, begun_with: Kept) -> None:
        """Begin with all that."""
        self._store.fill(begun_with)

    def commit(self, commit: Commit) -> None:
        """Make the commit durable."""
        began = self._clock.monotonic()
        try:
            self._store.commit(commit)
        except TashiError as error:
            self._tenure.prove(began, error.message)
            raise
        self._tenure.prove(began)

    def settle(self) -> CommitNumber:
        """The last durable commit, after an unknown outcome."""
        began = self._clock.monotonic()
        number = self._store.settle()
        self._tenure.prove(began)
        return number

    def tend(self) -> None:
        """See that what is kept is still there."""
        self._store.tend()

    def close(self) -> None:
        """Give up ownership."""
        self._store.close()


class TenuredLink:
    """A link over which nothing is sent once the tenure has ended."""

    def __init__(self, link: Caller, tenure: Tenure) -> None:
        self._link = link
        self._tenure = tenure

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer; raises NotLeader, PeerSilent."""
        self._tenure.expect()
        return self._link.call(request, timeout_seconds, repeatable=repeatable)

    def close(self) -> None:
        """Let go of the peer; calls under way end with PeerSilent, and so do later ones."""
        self._link.close()


class TenuredHandler:
    """Answers requests, and lets no answer out that was made after the tenure had ended."""

    def __init__(self, handler: Handler, tenure: Tenure) -> None:
        self._handler = handler
        self._tenure = tenure

    def __call__(self, request: bytes, peer: Peer) -> bytes | Promise:
        """Have one request answered; raises NotLeader, and what the handler raises."""
        self._tenure.expect()
        try:
            answer = self._handler(request, peer)
        except TashiError:
            self._tenure.expect("perhaps")
            raise
        if not isinstance(answer, bytes):
            return then(answer, self._still_ours)
        return self._still_ours(answer)

    def _still_ours(self, answer: bytes) -> bytes:
        self._tenure.expect("perhaps")
        return answer
