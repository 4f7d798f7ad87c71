"""Who keeps the books next, where several cluster managers share a database, and from when on.

The leader has the lease and keeps it moving: every commit counts a number in it up, and when there
is nothing to commit it commits nothing, just for that. A standby looks at the lease again and again
and takes over once it has stood still for long enough. So whoever wants the books to have no user
at all, as an administrator's tools do, waits for longer than a standby would. Four laws:

* Durations are of one's own monotonic clock. What the leader's clock says is of no interest.
* The leader counts from before its last commit, a standby from after its first look at that commit,
  and the leader's patience is shorter. So the leader has fallen silent before another begins.
* Whoever could not look for a whole limit counts anew: it may be the one that was away.
* A standby only proposes. The claim itself is made on the condition that the lease is still as it
  was seen; of two that claim at once, or of a claim and a commit, one is made.

Pure: no clock and no database may enter.
"""

from dataclasses import dataclass, replace
from typing import Final

from tashi.domain.identity import CommitNumber

MARGIN_SECONDS: Final = 1.5
"""By how much sooner a leader falls silent than a standby takes over."""

LEAST_SECONDS: Final = 4.0
"""A shorter limit would end reigns over nothing: a leader moves the lease about once a second."""

LEFT_SECONDS: Final = 2.0
"""A lease that nobody has is not left so for as long while somebody stands by."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The lease as somebody saw it: which reign, how far it has come, and at which address it is.

    Without a `holder` nobody has it.
    """

    epoch: int = 0
    commit: CommitNumber = CommitNumber(0)
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Vigil:
    """What a standby has seen so far; a lease that stood still for `limit` seconds may be claimed.

    `since` is the moment from which on the lease was seen as it is, `looked_at` the last look.
    """

    limit: float
    seen: Sighting | None = None
    since: float = 0.0
    looked_at: float = 0.0

    def see(self, sighting: Sighting, now: float) -> "Vigil":
        """The vigil after a look that ended `now`."""
        anew = sighting != self.seen or now - self.looked_at > self.limit
        since = now if anew else self.since
        return replace(self, seen=sighting, since=since, looked_at=now)

    @property
    def is_over(self) -> bool:
        """Whether the lease may be claimed, as it was seen last."""
        if self.seen is None:
            return False
        return not self.seen.holder or self.looked_at - self.since >= self.limit

    @property
    def is_desertion(self) -> bool:
        """Whether nobody leads and nobody stands by, if `limit` is longer than any standby's."""
        if self.seen is None:
            return False
        still = self.looked_at - self.since
        return still >= (self.limit if self.seen.holder else min(self.limit, LEFT_SECONDS))
