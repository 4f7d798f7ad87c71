"""A new image that comes in pieces: written to a part, judged once it is whole, then named."""

import json
import os
import threading
from contextlib import ExitStack
from typing import Final

from tashi.adapters.images.parts import Part, making
from tashi.adapters.images.spots import failed
from tashi.adapters.images.works import Works, check_room
from tashi.domain.errors import Cancelled, CommandFailed, Refused
from tashi.domain.images import ImageFacts, read_facts, size_in_words
from tashi.ports.images import NewImage, Progress

_FLUSH_EVERY: Final = 64 << 20
_SECONDS: Final = 60.0
_ONLY_LEAKS: Final = 3
"""How `qemu-img check` ends where an image takes up more than it needs, and is sound."""


class FolderIntake:
    """An image on its way into a folder."""

    def __init__(self, works: Works, new: NewImage, size: int) -> None:
        self._works = works
        self._new = new
        self._size = size
        self._received = 0
        self._unflushed = 0
        self._stack = ExitStack()
        self._ending = threading.Lock()  # taken by whoever ends it, and never given back
        try:
            self._part: Part = self._stack.enter_context(making(works.spots, new, works.hold))
            free = os.fstatvfs(self._part.fd)
            check_room(new.name, size, free.f_bavail * free.f_frsize)
        except BaseException:
            self._stack.close()
            raise

    @property
    def received(self) -> int:
        """How many bytes have been taken."""
        return self._received

    def take(self, piece: bytes) -> None:
        """Write a piece; one of zeros stays a hole."""
        if self._received + len(piece) > self._size:
            raise Refused(
                f"Image {self._new.name!r} was to have {size_in_words(self._size)}, and more came."
            )
        try:
            if piece != bytes(len(piece)):
                self._write(piece)
        except OSError as error:
            raise failed(self._new.name, error) from error
        self._received += len(piece)

    def base(self) -> str | None:
        """As its header says."""
        try:
            return self._works.listing.backing_of(self._new.name, self._facts())
        except OSError as error:
            raise failed(self._new.name, error) from error

    def keep(self, progress: Progress) -> None:
        """Judge it and give it its name."""
        if not self._ending.acquire(blocking=False):
            raise Refused(f"What was sent of image {self._new.name!r} is forgotten already.")
        with self._stack:
            progress.note(0, self._size)
            os.ftruncate(self._part.fd, self._received)
            facts = self._facts()
            self._judge(facts)
            if facts.format == "qcow2":
                self._check_whole(progress)
            self._part.become_the_image()
            progress.note(self._size, self._size)

    def drop(self) -> None:
        """Leave nothing of it."""
        if self._ending.acquire(blocking=False):
            self._stack.close()

    def _write(self, piece: bytes) -> None:
        rest, place = memoryview(piece), self._received
        while rest:
            written = os.pwrite(self._part.fd, rest, place)
            rest, place = rest[written:], place + written
        self._unflushed += len(piece)
        if self._unflushed >= _FLUSH_EVERY:
            os.fdatasync(self._part.fd)
            self._unflushed = 0

    def _facts(self) -> ImageFacts:
        return read_facts(
            lambda offset, length: os.pread(self._part.fd, length, offset), self._received
        )

    def _judge(self, facts: ImageFacts) -> None:
        name = self._new.name
        self._works.check_down(name, facts)
        if self._format_by_qemu() != facts.format:
            raise Refused(f"Image {name!r} is refused: QEMU does not take it for {facts.format}.")

    def _check_whole(self, progress: Progress) -> None:
        """See that all is there that the image's tables speak of: a download may have been cut."""
        command = ["qemu-img", "check", "-q", "-U", "-f", "qcow2", self._part.path]
        try:
            self._works.commands.follow(command, hear=lambda _: None, leash=progress.leash)
        except CommandFailed as error:
            if progress.leash.pulled:
                raise Cancelled("It was cancelled.") from error
            if error.about.get("exit_code") != _ONLY_LEAKS:
                raise Refused(
                    f"Image {self._new.name!r} is damaged or cut off, says `qemu-img check`: "
                    "refused. Fetch it again."
                ) from error

    def _format_by_qemu(self) -> str:
        """What QEMU makes of it: only now is it asked, of an image that names no other file."""
        command = ["qemu-img", "info", "-U", "--output=json", self._part.path]
        try:
            said = json.loads(self._works.commands.run(command, timeout_seconds=_SECONDS))
        except CommandFailed as error:
            raise Refused(f"{self._new.name!r} is no sound disk image: {error.message}") from error
        return str(said["format"])
