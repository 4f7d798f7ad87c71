"""Which images are being read or written by jobs and imports, against what the books say of them.

The books know which instances have an image, the claims know what is being done to images; both are
looked at in the ledger's thread, so of two wishes that do not go together (create an instance of an
image, delete that image) one is refused, whichever comes second.

What an instance needs is looked up in the image store before the ledger is asked. So the claims
also remember what was done lately: a lookup that is older than the last change of its image does
not count. Claims are in memory only, as the jobs are. Only the ledger's thread writes here; `turn`
may be read by anybody.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tashi.domain.books import Books
from tashi.domain.errors import ImageInUse, ImagesFailed
from tashi.domain.instance import Disk
from tashi.domain.states import InstanceState

_MOST_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Claim:
    """What one job or import does with images; a claim is one by identity.

    It reads some, bases new ones on some, makes some that are not there yet, and changes or deletes
    some that are.
    """

    words: str
    reads: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()

    @property
    def writes(self) -> frozenset[str]:
        """What nobody else may touch meanwhile."""
        return self.makes | self.changes


class Claims:
    """The claims that are held, and what was changed lately."""

    def __init__(self) -> None:
        self.turn = 0
        self._writers: dict[str, Claim] = {}
        self._readers: dict[str, set[Claim]] = defaultdict(set)
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._based_on: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0

    def take(self, books: Books, claim: Claim) -> None:
        """Let the claim be held; raises ImageInUse when somebody uses one of its images."""
        for name in sorted(claim.writes):
            self._check_unclaimed(name, claim)
        for name in sorted(claim.changes):
            _check_unused(books, name)
        for name in sorted(claim.reads | claim.bases):
            self._check_not_written(name, claim)
            check_at_rest(books, name)
        for name in sorted(claim.bases):
            _check_stays(books, name)
        for name in claim.writes:
            self._writers[name] = claim
        for name in claim.reads | claim.bases:
            self._readers[name].add(claim)

    def release(self, claim: Claim) -> None:
        """Let go of a claim; harmless if it is not held."""
        held = [name for name in claim.writes if self._writers.get(name) is claim]
        read = [name for name in claim.reads | claim.bases if claim in self._readers.get(name, ())]
        self.turn += 1
        for name in held:
            del self._writers[name]
            self._remember(self._changed, name)
        for name in read:
            self._readers[name].discard(claim)
            if not self._readers[name]:
                del self._readers[name]
            if name in claim.bases:
                self._remember(self._based_on, name)

    def check_disks(self, disks: Iterable[Disk], since: int) -> None:
        """Raise ImageInUse when an instance with these disks cannot be created now.

        `since` is the `turn` before its images were looked up; raises ImagesFailed when that was
        too early to be true still.
        """
        for disk in disks:
            writer = self._writers.get(disk.uri)
            if writer is not None:
                raise _busy(disk.uri, writer)
            stale = max(self._changed.get(disk.uri, 0), self._forgotten)
            if disk.persistent:
                for reader in self._readers.get(disk.uri, ()):
                    raise _busy(disk.uri, reader)
                stale = max(stale, self._based_on.get(disk.uri, 0))
            if stale > since:
                raise ImagesFailed(f"Image {disk.uri!r} has just been changed: try again.")

    def _check_unclaimed(self, name: str, claim: Claim) -> None:
        self._check_not_written(name, claim)
        for reader in self._readers.get(name, ()):
            raise _busy(name, reader)

    def _check_not_written(self, name: str, claim: Claim) -> None:
        writer = self._writers.get(name)
        if writer is not None and writer is not claim:
            raise _busy(name, writer)

    def _remember(self, kept: OrderedDict[str, int], name: str) -> None:
        kept[name] = self.turn
        kept.move_to_end(name)
        if len(kept) > _MOST_REMEMBERED:
            _, turn = kept.popitem(last=False)
            self._forgotten = max(self._forgotten, turn)


def _busy(name: str, claim: Claim) -> ImageInUse:
    return ImageInUse(f"Image {name!r} is in use: {claim.words} is under way. Try again then.")


def _check_unused(books: Books, name: str) -> None:
    for instance in books.with_disk(name):
        over = instance.state is InstanceState.EXITED
        how = (
            "of which a host still keeps something" if over else f"which is {instance.state.title}"
        )
        raise ImageInUse(
            f"Image {name!r} is in use: it is a disk of {instance}, {how}.", instance=instance.id
        )


def check_at_rest(books: Books, name: str) -> None:
    """Raise ImageInUse when an instance may be writing to the image."""
    holder = books.attached.get(name)
    if holder is not None:
        raise ImageInUse(
            f"Image {name!r} is in use: {books.instances[holder]} may write to it. Stop the "
            "instance first.",
            instance=holder,
        )


def _check_stays(books: Books, name: str) -> None:
    """Refuse to base anything on an image that an instance will write to."""
    for instance in books.with_disk(name):
        if name in instance.persistent_disks:
            raise ImageInUse(
                f"Image {name!r} is a persistent disk of {instance}: what that writes would spoil "
                "every image that is based on it. Copy it instead.",
                instance=instance.id,
            )
