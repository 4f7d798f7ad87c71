"""Where disk images live: a folder that every node sees.

Names are places below ``images/``, with `/` between folders; whoever passes one on has checked its
form (`tashi.domain.images`). A new image appears whole and durable, or not at all: whatever is in
the making is not listed, and what is left of it after a crash is swept away.

Who may do what, and whether somebody uses an image, is not for the store to know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tashi.domain.catalogue import Image
from tashi.domain.identity import UserId
from tashi.ports.commands import Leash


class Progress(Protocol):
    """How far a long work is, in bytes, as told by who does it; and whether it is still wanted."""

    @property
    def leash(self) -> Leash:
        """What is to end at once when the work is no longer wanted hangs on this."""
        ...

    def note(self, done: int, total: int) -> None:
        """Say how far it is, as often as one likes; raises Cancelled when it is not wanted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image to be made: its name, whose it is to be, whether it may take another's place."""

    name: str
    owner: UserId | None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a file of `size` bytes; pieces of one `version` belong together."""

    content: bytes
    size: int
    version: str


class Intake(Protocol):
    """A new image on its way in, in pieces; the first `keep` or `drop` ends it."""

    @property
    def received(self) -> int:
        """How many bytes have been taken."""
        ...

    def take(self, piece: bytes) -> None:
        """Add a piece; raises ImagesFailed when it cannot be written, as when there is no room."""
        ...

    def base(self) -> str | None:
        """The image in the store on which all that was taken is based, if there is one."""
        ...

    def keep(self, progress: Progress) -> None:
        """Let what was taken become the image, if it is one that guests can be given.

        Raises Refused when it is not (no disk image, or one that is based on what is not in the
        store) or when there is one of that name now, ImagesFailed when it cannot be kept.
        """
        ...

    def drop(self) -> None:
        """Forget what was taken."""
        ...


class ImageStore(Protocol):
    """The images under one prefix. Everything here may take as long as the store does.

    Raises ImagesFailed when the store cannot be read or written, NoSuchImage for an image that is
    named and not there, Refused for what would be unsafe.
    """

    def images(self) -> Sequence[Image]:
        """Every image, by name, without who uses it."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a disk image of that name; costs the same however many there are."""
        ...

    def image(self, name: str) -> Image:
        """That image; what it backs is what was known at the last look at all of them."""
        ...

    def same_as(self, name: str) -> Sequence[str]:
        """Every name of the same file: the image's own, and those of links to it."""
        ...

    def backs(self, name: str) -> Sequence[str]:
        """The images that are based on it or are links to it, as they are now."""
        ...

    def room(self) -> int:
        """How many bytes can still be written."""
        ...

    def copy(self, source: str, new: NewImage, progress: Progress) -> None:
        """Make a copy, byte by byte; refused while somebody writes to the source."""
        ...

    def clone(self, source: str, new: NewImage, progress: Progress) -> None:
        """Make an empty qcow2 image that is based on the source, by its name in the store."""
        ...

    def rebase(self, source: str, backing: str | None, new: NewImage, progress: Progress) -> None:
        """Make a qcow2 image with the source's content, based on `backing` or on nothing."""
        ...

    def delete(self, name: str) -> None:
        """Remove an image."""
        ...

    def receive(self, new: NewImage, size: int) -> Intake:
        """Begin to take in a new image of so many bytes."""
        ...

    def read(self, name: str, offset: int, length: int) -> Piece:
        """A piece of an image's file as it is in the store, empty from its end on."""
        ...

    def sweep(self) -> Sequence[str]:
        """Remove what earlier users of the store left half made; what it was."""
        ...

    def has_saved(self, name: str) -> bool:
        """Whether memory of that name is complete and unused; raises ImagesFailed."""
        ...

    def console(self, name: str, offset: int, most: int) -> tuple[bytes, int]:
        """What a guest whose disks are stored under that name had said, and where that ends.

        From `offset` on, which counts from the end if it is negative, at most `most` bytes. Raises
        NoSuchImage when there is nothing of it.
        """
        ...

    def delete_saved(self, name: str) -> None:
        """Remove saved memory, used or not or in part; harmless if it is not there.

        Raises Refused for a name that leads elsewhere, ImagesFailed when it cannot be removed.
        """
        ...

    def delete_stored(self, name: str) -> None:
        """Remove the disks stored under that name, whole or not; harmless if there are none.

        Raises Refused for a name that leads elsewhere, ImagesFailed when one cannot be removed.
        """
        ...
