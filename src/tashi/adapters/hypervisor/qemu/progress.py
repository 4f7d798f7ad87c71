"""How far a move, a save or a copy is; of the first two QEMU is asked while one is under way."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tashi.domain.guest import Progress

_BITS: Final = 8
_MEGA: Final = 10**6
_MIB: Final = 1 << 20
_SHORTEST_SECONDS: Final = 0.2
"""Over less than that a rate says nothing."""


class Job(msgspec.Struct, rename="kebab"):
    """The copying of a disk, as query-jobs knows it."""

    id: str
    status: str
    error: str = ""
    current_progress: int = 0
    total_progress: int = 0


class Ram(msgspec.Struct, rename="kebab"):
    """The memory of a migration; sizes in bytes, `mbps` in megabits a second."""

    transferred: int = 0
    remaining: int = 0
    mbps: float = 0.0
    page_size: int = 4096
    dirty_pages_rate: int = 0
    dirty_sync_count: int = 0

    @property
    def dirtied(self) -> int:
        """How many bytes a second the guest changes that have been sent before."""
        return self.dirty_pages_rate * self.page_size


class Migration(msgspec.Struct, rename="kebab"):
    """What query-migrate answers; times in milliseconds."""

    status: str = "none"
    error_desc: str = ""
    ram: Ram | None = None
    cpu_throttle_percentage: int = 0
    expected_downtime: int | None = None
    downtime: int | None = None


class Meter:
    """Tells progress; the disks of a move come first, its memory after them."""

    def __init__(
        self, tell: Callable[[Progress], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._now = now
        self._at = now()
        self._copied = 0
        self._disks = 0
        self._rate = 0.0
        self.left = ""
        """What was missing when it was last looked at, for people; empty when nobody knows."""

    def disks(self, jobs: Sequence[Job]) -> None:
        """Tell how far the copies of the disks are."""
        self._disks = sum(job.total_progress for job in jobs)
        self.copies(sum(job.current_progress for job in jobs), self._disks)

    def copies(self, done: int, total: int) -> None:
        """Tell how much of some disks is copied."""
        now = self._now()
        if now - self._at >= _SHORTEST_SECONDS:
            self._rate = max(0, done - self._copied) / (now - self._at)
            self._at, self._copied = now, done
        self.left = f"{in_mib(total - done)} of its disks were left"
        self._tell(Progress(done=done, total=total, rate=self._rate, words="disks"))

    def memory(self, migration: Migration) -> None:
        """Tell how far the memory is, and how quickly the guest changes what was sent."""
        ram = migration.ram
        if ram is None:
            return
        done = self._disks + ram.transferred
        self.left = f"{in_mib(ram.remaining)} of its memory were left"
        if ram.dirtied:
            self.left += f", and it changes {in_mib(ram.dirtied)} a second"
        rate = ram.mbps * _MEGA / _BITS
        total, words = done + ram.remaining, _words(migration, ram)
        self._tell(Progress(done=done, total=total, rate=rate, words=words))


def in_mib(size: int) -> str:
    """A size for people."""
    return f"{size / _MIB:.1f} MiB"


def _words(migration: Migration, ram: Ram) -> str:
    words = ["memory"]
    if ram.dirty_sync_count > 1:
        words.append(f"pass {ram.dirty_sync_count}")
        words.append(f"dirtied at {in_mib(ram.dirtied)}/s")
    if migration.cpu_throttle_percentage:
        words.append(f"slowed down by {migration.cpu_throttle_percentage} %")
    if migration.downtime is not None:
        words.append(f"stood still for {migration.downtime} ms")
    elif migration.expected_downtime is not None and ram.dirty_sync_count > 1:
        words.append(f"will stand still for {migration.expected_downtime} ms")
    return ", ".join(words)
