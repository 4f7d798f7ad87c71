"""The part of the image store that matters here: saved memory, used once, and stored disks."""

from dataclasses import dataclass, field

from tashi.domain.instance import Spent


class Violation(AssertionError):
    """A law of the cluster does not hold in this run."""


@dataclass(slots=True)
class SavedMemory:
    """The files under ``suspend/``; a file is used from the moment it is renamed."""

    complete: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    woken: set[str] = field(default_factory=set)
    disks: set[str] = field(default_factory=set)
    full: bool = False
    """Whether no more disks fit in."""

    def use(self, name: str) -> None:
        """Rename the file, so that nobody uses it again."""
        self.complete.remove(name)
        self.used.add(name)

    def wake(self, name: str) -> None:
        """Let vCPUs run from this memory."""
        if name in self.woken:
            raise Violation(f"Memory {name} was woken twice.")
        self.woken.add(name)

    def delete(self, spent: Spent) -> None:
        """Remove the memory, used or not, or the disks."""
        for kept in (self.complete, self.used) if spent.memory else (self.disks,):
            kept.discard(spent.name)
