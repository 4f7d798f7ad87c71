"""A lease in memory, which its test moves, takes away and lets somebody else have."""

from dataclasses import replace

from tashi.domain.errors import ReignLost, TashiError
from tashi.domain.identity import CommitNumber
from tashi.domain.succession import Sighting


class FakeLease:
    """A lease that several hold on to by a `FakeSuccession` each."""

    def __init__(self) -> None:
        self.now = Sighting()

    def move(self) -> None:
        """Let its holder commit once."""
        self.now = replace(self.now, commit=CommitNumber(self.now.commit + 1))


class FakeSuccession:
    """The succession to a lease, as who is called at `holder` sees it."""

    def __init__(self, lease: FakeLease, holder: str) -> None:
        self._lease = lease
        self._holder = holder
        self.trouble: TashiError | None = None

    def sight(self) -> Sighting:
        """The lease as it stands."""
        if self.trouble is not None:
            raise self.trouble
        return self._lease.now

    def claim(self, seen: Sighting) -> None:
        """Have the lease if it is as it was seen."""
        if self.trouble is not None:
            raise self.trouble
        if seen != self._lease.now:
            raise ReignLost(f"The books belong to {self._lease.now.holder} now.")
        self._lease.now = replace(seen, epoch=seen.epoch + 1, holder=self._holder)
