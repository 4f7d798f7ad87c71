"""An image store in memory: images are bytes, and judged by the same rules as in a folder."""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from disk_images import qcow2
from tashi.domain.catalogue import Image
from tashi.domain.errors import ImagesFailed, NoSuchImage, Refused, TashiError
from tashi.domain.guest import start_of
from tashi.domain.identity import UserId
from tashi.domain.images import (
    ImageFacts,
    complaint_about_base,
    names_another_protocol,
    read_facts,
    relative_name,
)
from tashi.ports.images import NewImage, Piece, Progress


@dataclass(frozen=True, slots=True)
class Kept:
    """An image, and whose it is."""

    content: bytes
    owner: UserId | None = None

    @property
    def facts(self) -> ImageFacts:
        return read_facts(lambda at, count: self.content[at : at + count], len(self.content))


class FakeImages:
    """Has the images that it is given; `is_away` makes every question fail, a mishap the next one.

    `free` is how many bytes it still takes; `midway` is called in the middle of every making.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.kept = {name: Kept(bytes(4096)) for name in names}
        self.deleted: list[str] = []
        self.saved: set[str] = set()
        self.consoles: dict[str, bytes] = {}
        self.is_away = False
        self.mishaps: list[TashiError] = []
        self.free = 1 << 40
        self.midway: Callable[[], None] = lambda: None

    def images(self) -> Sequence[Image]:
        self._check()
        return [self.image(name) for name in sorted(self.kept)]

    def has(self, name: str) -> bool:
        self._check()
        return name in self.kept and self.kept[name].facts.is_disk

    def image(self, name: str) -> Image:
        kept = self._find(name)
        facts = kept.facts
        return Image(
            name=name,
            size=len(kept.content),
            virtual_size=facts.virtual_size,
            format=facts.format,
            backing=self._base(name, facts) or facts.backing,
            backs=tuple(self.backs(name)),
            user_id=kept.owner,
        )

    def same_as(self, name: str) -> Sequence[str]:
        self._find(name)
        return [name]

    def backs(self, name: str) -> Sequence[str]:
        self._check()
        return sorted(
            other for other, kept in self.kept.items() if self._base(other, kept.facts) == name
        )

    def room(self) -> int:
        self._check()
        return self.free

    def copy(self, source: str, new: NewImage, progress: Progress) -> None:
        kept = self._checked(source)
        self._room_for(new.name, len(kept.content))
        self._refuse_if_there(new)
        content = kept.content
        base = self._base(source, kept.facts)
        if base is not None and posixpath.dirname(source) != posixpath.dirname(new.name):
            content = self._overlay(new.name, base, kept.facts.virtual_size)
        self._make(new, content, progress)

    def clone(self, source: str, new: NewImage, progress: Progress) -> None:
        facts = self._checked(source).facts
        _refuse_its_own_base(source, new)
        self._refuse_if_there(new)
        self._make(new, self._overlay(new.name, source, facts.virtual_size), progress)

    def rebase(self, source: str, backing: str | None, new: NewImage, progress: Progress) -> None:
        size = self._checked(source).facts.virtual_size
        content = qcow2(size)
        if backing is not None:
            self._checked(backing)
            _refuse_its_own_base(backing, new)
            content = self._overlay(new.name, backing, size)
        self._refuse_if_there(new)
        self._make(new, content, progress)

    def delete(self, name: str) -> None:
        self._find(name)
        del self.kept[name]

    def receive(self, new: NewImage, size: int) -> "FakeIntake":
        self._check()
        self._refuse_if_there(new)
        self._room_for(new.name, size)
        return FakeIntake(self, new, size)

    def read(self, name: str, offset: int, length: int) -> Piece:
        content = self._find(name).content
        return Piece(content[offset : offset + length], len(content), str(hash(content)))

    def sweep(self) -> Sequence[str]:
        self._check()
        return ()

    def has_saved(self, name: str) -> bool:
        self._check()
        return name in self.saved

    def console(self, name: str, offset: int, most: int) -> tuple[bytes, int]:
        self._check()
        if name not in self.consoles:
            raise NoSuchImage(f"There is no console of {name!r}.")
        said = self.consoles[name]
        begin = start_of(offset, len(said))
        piece = said[begin : begin + most]
        return piece, begin + len(piece)

    def delete_saved(self, name: str) -> None:
        self._check()
        self.saved.discard(name)
        self.deleted.append(name)

    def delete_stored(self, name: str) -> None:
        self._check()
        self.deleted.append(f"{name}.disks")

    def _make(self, new: NewImage, content: bytes, progress: Progress) -> None:
        progress.note(0, len(content))
        self.midway()
        progress.note(len(content), len(content))
        self._refuse_if_there(new)
        self.kept[new.name] = Kept(content, new.owner)

    def _overlay(self, name: str, base: str, size: int) -> bytes:
        return qcow2(size, relative_name(base, name), self.kept[base].facts.format)

    def _base(self, name: str, facts: ImageFacts) -> str | None:
        if facts.backing is None or names_another_protocol(facts.backing):
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), facts.backing))
        return path if path in self.kept else None

    def _checked(self, name: str) -> Kept:
        kept = self._find(name)
        facts = kept.facts
        if not facts.is_disk or facts.data_elsewhere:
            raise Refused(f"Image {name!r} cannot be used.")
        if facts.backing is not None:
            base = self._base(name, facts)
            if base is None:
                raise Refused(f"Image {name!r} is based on what is no image in the store: refused.")
            _check_format(name, facts, self._checked(base).facts)
        return kept

    def _find(self, name: str) -> Kept:
        self._check()
        if name not in self.kept:
            raise NoSuchImage(f"There is no disk image {name!r}.")
        return self.kept[name]

    def _refuse_if_there(self, new: NewImage) -> None:
        folders = new.name.split("/")[:-1]
        if any("/".join(folders[:upto]) in self.kept for upto in range(1, len(folders) + 1)):
            raise Refused(f"{new.name!r} leads through something that is no folder.")
        if new.name in self.kept and not new.replace:
            raise Refused(f"There is an image {new.name!r} already.")

    def _room_for(self, name: str, size: int) -> None:
        if size > self.free:
            raise ImagesFailed(f"There is no room in the image store for {name!r}.")

    def _check(self) -> None:
        if self.is_away:
            raise ImagesFailed("The image store cannot be read: Stale file handle.")
        if self.mishaps:
            raise self.mishaps.pop(0)


def _check_format(name: str, facts: ImageFacts, below: ImageFacts) -> None:
    if complaint := complaint_about_base(facts, below):
        raise Refused(f"Image {name!r} {complaint}")


def _refuse_its_own_base(base: str, new: NewImage) -> None:
    if base == new.name:
        raise Refused(f"Image {base!r} cannot be based on itself.")


class FakeIntake:
    """An image on its way into memory."""

    def __init__(self, store: FakeImages, new: NewImage, size: int) -> None:
        self._store = store
        self._new = new
        self._size = size
        self._content = b""

    @property
    def received(self) -> int:
        return len(self._content)

    def take(self, piece: bytes) -> None:
        self._store._check()
        if self.received + len(piece) > self._size:
            raise Refused(f"Image {self._new.name!r}: more came than was said.")
        self._content += piece

    def base(self) -> str | None:
        facts = Kept(self._content).facts
        return None if facts.backing is None else self._store._base(self._new.name, facts)

    def keep(self, progress: Progress) -> None:
        store, name = self._store, self._new.name
        facts = Kept(self._content).facts
        if not facts.is_disk or facts.data_elsewhere:
            raise Refused(f"Image {name!r} cannot be used: it is no disk image.")
        if facts.backing is not None:
            base = store._base(name, facts)
            if base is None:
                raise Refused(f"Image {name!r} is based on what is no image in the store: refused.")
            _check_format(name, facts, store._checked(base).facts)
        store._make(self._new, self._content, progress)

    def drop(self) -> None:
        self._content = b""
