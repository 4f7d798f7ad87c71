"""When a host counts as lost: silence, measured on our own monotonic clock.

Three laws. Silence counts from the later of our own start and the last word of the host. If we
were absent ourselves (a gap between two of our own looks, as after a suspend or a long stall),
every host's silence starts anew: nobody could have been heard. And a lost host proves nothing about
its guests; it only turns them into orphans.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from tashi.domain.identity import HostId

ABSENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What the monitor remembers: when it last looked, and when each host was last heard."""

    looked_at: float
    since: float
    heard: Map[HostId, float] = field(default_factory=Map)

    def hear(self, host: HostId, now: float) -> "Watch":
        """The watch after a word from that host."""
        return replace(self, heard=self.heard.set(host, now))

    def look(self, now: float) -> "Watch":
        """The watch after a look at the clock; a long gap starts every silence anew."""
        absent = now - self.looked_at > ABSENCE_SECONDS
        return replace(self, looked_at=now, since=now if absent else self.since)

    def silence(self, host: HostId, now: float) -> float:
        """For how many seconds the host has been silent."""
        return now - max(self.since, self.heard.get(host, self.since))

    def lost(self, hosts: Iterable[HostId], now: float, expire_seconds: float) -> list[HostId]:
        """Those of `hosts` that have been silent for too long."""
        return [host for host in hosts if self.silence(host, now) > expire_seconds]
