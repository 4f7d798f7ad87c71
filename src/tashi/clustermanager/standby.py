"""A cluster manager that waits for its turn: it watches the leader's lease, and answers nobody.

It knows nothing of the books. Whoever calls is told which cluster manager leads. When the lease has
stood still for long enough, or nobody has it, it is claimed; whoever runs this loads the books then
and leads.
"""

from logging import getLogger

from tashi.domain.errors import Failed, Misconfigured, NotLeader, ReignLost
from tashi.domain.succession import Vigil
from tashi.ports.clock import Clock
from tashi.ports.peers import Peer
from tashi.ports.succession import Succession

_log = getLogger(__name__)


class Standby:
    """Watches one lease, which it claims after `limit` seconds without a commit.

    `look` belongs to one thread; calls are answered on any.
    """

    def __init__(self, succession: Succession, clock: Clock, limit: float) -> None:
        self._succession = succession
        self._clock = clock
        self._vigil = Vigil(limit)
        self._said = ""

    def look(self) -> bool:
        """Look at the lease once, and claim it when that is due; whether it is ours now.

        Raises Misconfigured and StoreFailed.
        """
        seen = self._succession.sight()
        self._vigil = self._vigil.see(seen, self._clock.monotonic())
        if not self._vigil.is_over:
            self._say(f"Standing by: {self._who_leads()}.")
            return False
        if seen.holder:
            _log.warning("The cluster manager at %s has fallen silent: taking over.", seen.holder)
        try:
            self._succession.claim(seen)
        except ReignLost:
            self._say("Standing by: another cluster manager was quicker.")
            return False
        return True

    def look_again(self) -> bool:
        """`look`, for as long as it takes: what goes wrong is said once, and waited for.

        Also what somebody has to mend, such as a database that lets nobody in: whoever leads waits
        for that too, and it may be over in a moment.
        """
        try:
            return self.look()
        except (Failed, Misconfigured) as error:
            self._say(f"Standing by, and not able to take over: {error}")
            return False

    @property
    def leader(self) -> str | None:
        """Where the one that leads is called, as `host:port`; ``None`` while nobody does."""
        seen = self._vigil.seen
        return (seen.holder or None) if seen is not None else None

    def answer(self, _request: bytes, _peer: Peer) -> bytes:
        """Raise NotLeader, whatever is asked."""
        raise NotLeader(f"This cluster manager stands by: {self._who_leads()}.", sent="no")

    def _who_leads(self) -> str:
        leader = self.leader
        return "nobody leads yet" if leader is None else f"the one at {leader} leads"

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            _log.info("%s", words)
