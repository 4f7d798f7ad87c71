"""Images made from others: copied, cloned, rebased.

What is read is the image itself, by its own folder; what it is based on was checked, all the way
down, to be in the store. `qemu-img` runs as an argument list and is told every format: nothing is
guessed from what a guest may have written.
"""

import errno
import os
import posixpath
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from tashi.adapters.images import locks
from tashi.adapters.images.copying import copy_content
from tashi.adapters.images.hold import Hold
from tashi.adapters.images.listing import Listing
from tashi.adapters.images.parts import Part, making
from tashi.adapters.images.spots import Spot, Spots, failed
from tashi.domain.errors import Cancelled, CommandFailed, ImagesFailed, Refused
from tashi.domain.images import (
    ImageFacts,
    check_is_disk,
    complaint_about_base,
    relative_name,
    size_in_words,
)
from tashi.ports.commands import Commands, Leash
from tashi.ports.images import NewImage, Progress

_SECONDS: Final = 60.0
_PERCENT: Final = re.compile(r"\((\d+\.\d+)/100%\)")
_WHOLE: Final = 100.0
_DEEPEST: Final = 64
_NO_SPACE: Final = "No space left on device"


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the two halves of a work, on one bar."""

    whole: Progress
    number: int

    @property
    def leash(self) -> Leash:
        """That of the whole."""
        return self.whole.leash

    def note(self, done: int, total: int) -> None:
        """Say how far this half is."""
        self.whole.note((self.number * total + done) // 2, total)


@dataclass(frozen=True, slots=True)
class Works:
    """Makes images; the names that come in are those of images, or links to them."""

    spots: Spots
    listing: Listing
    commands: Commands
    hold: Hold

    def copy(self, source: str, new: NewImage, progress: Progress) -> None:
        """Copy an image byte by byte."""
        real = self.spots.real_name(source)
        facts = self.checked(real)
        with self.spots.at(real) as spot, self._making(new) as part:
            self._copy(spot, part, progress)
            self._lead_back(real, facts, part)
            part.become_the_image()

    def clone(self, source: str, new: NewImage, progress: Progress) -> None:
        """Make an image that is based on another and has nothing of its own."""
        real = self.spots.real_name(source)
        facts = self.checked(real)
        refuse_its_own_base(real, new)
        if facts.virtual_size == 0:
            raise Refused(f"Image {source!r} is empty: there is nothing to clone.")
        progress.note(0, facts.virtual_size)
        base = relative_name(real, new.name)
        with self._making(new) as part:
            # -u: the base need not be opened to learn its size, which is known.
            words = ["-f", "qcow2", "-u", "-b", base, "-F", facts.format, part.path]
            self._run(["qemu-img", "create", "-q", *words, str(facts.virtual_size)], part.name)
            progress.note(facts.virtual_size, facts.virtual_size)
            part.become_the_image()

    def rebase(self, source: str, backing: str | None, new: NewImage, progress: Progress) -> None:
        """Make an image of the same content that is based on another one, or on none."""
        real = self.spots.real_name(source)
        facts = self.checked(real)
        base = None if backing is None else self.spots.real_name(backing)
        if base is not None:
            self.checked(base)
            refuse_its_own_base(base, new)
        with (
            self.spots.at(real) as spot,
            self._making(new) as part,
            spot.reading() as fd,
        ):
            locks.keep_writers_out(fd, source)
            if base is None:
                self._flatten(spot, facts, part, progress)
            else:
                first, second = Stage(progress, 0), Stage(progress, 1)
                if facts.format == "raw":
                    self._flatten(spot, facts, part, first)
                else:
                    self._copy(spot, part, first)
                    self._lead_back(real, facts, part)
                self._put_onto(base, part, facts.virtual_size, second)
            part.become_the_image()

    def checked(self, name: str) -> ImageFacts:
        """What an image says of itself, if it and all that it is based on are images in the store.

        Raises Refused when one of them is not, NoSuchImage when it is not there.
        """
        facts = self.listing.facts(name)
        self.check_down(name, facts)
        return facts

    def check_down(self, name: str, facts: ImageFacts) -> None:
        """Raise Refused unless all is an image in the store that one with these facts is based on.

        Each says rightly of what format the next one is.
        """
        seen = [name]
        while True:
            check_form(seen[-1], facts)
            if facts.backing is None:
                return
            below = self.listing.backing_of(seen[-1], facts)
            if below is None or not self.listing.has(below):
                raise Refused(
                    f"Image {seen[-1]!r} is based on {facts.backing!r}, which is no image in the "
                    "store: refused. Flatten it first, with `qemu-img convert -O qcow2`."
                )
            if below in seen or len(seen) >= _DEEPEST:
                raise Refused(f"Image {name!r} is based on itself, or on too many: refused.")
            under = self.listing.facts(below)
            if complaint := complaint_about_base(facts, under):
                raise Refused(f"Image {seen[-1]!r} {complaint}")
            seen.append(below)
            facts = under

    def _making(self, new: NewImage) -> AbstractContextManager[Part]:
        return making(self.spots, new, self.hold)

    def _copy(self, spot: Spot, part: Part, progress: Progress) -> None:
        with spot.reading() as fd:
            locks.keep_writers_out(fd, spot.name)
            before = os.fstat(fd)
            free = os.fstatvfs(part.fd)
            check_room(part.name, before.st_blocks * 512, free.f_bavail * free.f_frsize)
            copy_content(fd, part.fd, progress)
            after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise ImagesFailed(f"Image {spot.name!r} was changed while it was copied: try again.")

    def _lead_back(self, source: str, facts: ImageFacts, part: Part) -> None:
        """Let a copy in another folder find what it is based on."""
        base = self.listing.backing_of(source, facts)
        if base is None or facts.backing is None or facts.backing.startswith("/"):
            return
        if posixpath.dirname(source) != posixpath.dirname(part.name):
            form = self.listing.facts(base).format
            line = ["-f", "qcow2", "-b", relative_name(base, part.name), "-F", form, part.path]
            # -u: nothing is compared, for nothing changes but the way to the same image.
            self._run(["qemu-img", "rebase", "-u", *line], part.name)

    def _flatten(self, spot: Spot, facts: ImageFacts, part: Part, progress: Progress) -> None:
        command = ["qemu-img", "convert", "-p", "-f", facts.format, "-O", "qcow2"]
        self._follow([*command, spot.path, part.path], part.name, facts.virtual_size, progress)

    def _put_onto(self, base: str, part: Part, size: int, progress: Progress) -> None:
        """Base a qcow2 image on another one, keeping what it holds where the two differ."""
        form = self.listing.facts(base).format
        line = ["-f", "qcow2", "-b", relative_name(base, part.name), "-F", form, part.path]
        self._follow(["qemu-img", "rebase", "-p", *line], part.name, size, progress)

    def _run(self, command: list[str], name: str) -> None:
        try:
            self.commands.run(command, timeout_seconds=_SECONDS)
        except CommandFailed as error:
            raise _not_made(name, error) from error

    def _follow(self, command: list[str], name: str, total: int, progress: Progress) -> None:
        def hear(words: str) -> None:
            told = _PERCENT.findall(words)
            if told:
                progress.note(int(total * float(told[-1]) / _WHOLE), total)

        progress.note(0, total)
        try:
            self.commands.follow(command, hear=hear, leash=progress.leash)
        except CommandFailed as error:
            if progress.leash.pulled:
                raise Cancelled("It was cancelled.") from error
            raise _not_made(name, error) from error


def refuse_its_own_base(base: str, new: NewImage) -> None:
    """Raise Refused when an image would take the place of the one that it is based on."""
    if base == new.name:
        raise Refused(
            f"Image {base!r} cannot be based on itself: all that is in it would be lost. Choose "
            "another name for the new one."
        )


def check_form(name: str, facts: ImageFacts) -> None:
    """Raise Refused unless it is a disk image whose data is in itself."""
    check_is_disk(name, facts.format)
    if facts.data_elsewhere:
        raise Refused(f"Image {name!r} keeps its data in another file: refused.")


def check_room(name: str, needed: int, free: int) -> None:
    """Raise ImagesFailed when it is known beforehand that there is no room."""
    if needed > free:
        raise ImagesFailed(
            f"There is no room in the image store for {name!r}: it takes {size_in_words(needed)}, "
            f"and {size_in_words(free)} are free."
        )


def _not_made(name: str, error: CommandFailed) -> ImagesFailed:
    if _NO_SPACE in error.message:
        gone = failed(name, OSError(errno.ENOSPC, _NO_SPACE))
        assert isinstance(gone, ImagesFailed)
        return gone
    return ImagesFailed(f"Image {name!r} cannot be made: {_words_of_qemu(error.message)}")


def _words_of_qemu(message: str) -> str:
    """The words without the marks of progress among them."""
    return _PERCENT.sub("", message).replace("\r", " ").strip()
