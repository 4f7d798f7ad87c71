"""What images there are and what each is, remembered for each version of a file.

A file is looked into when its inode, size or times are not those that were seen last. A look at all
of them costs a stat(2) each; a question about one costs the same however many there are. Which
image is based on which follows from the last look at all, and from what was made since.
"""

import os
import posixpath
import stat
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from tashi.adapters.images.spots import Spot, Spots, card_of, failed, no_such_image
from tashi.domain.catalogue import Image
from tashi.domain.errors import ImagesFailed, NoSuchImage
from tashi.domain.identity import UserId
from tashi.domain.images import ImageFacts, is_hidden, names_another_protocol, read_facts

_BLOCK_BYTES: Final = 512
"""The unit of st_blocks: stat(2)."""
_LONGEST_CARD: Final = 4096

_Version = tuple[int, int, int, int, int]


class Card(msgspec.Struct, frozen=True):
    """What stands beside an image."""

    owner: int | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """A file that may be an image: `real` is the one that it is a link to, else its own name."""

    name: str
    real: str
    there: os.stat_result


class Listing:
    """The images of a folder as they are seen by looking."""

    def __init__(self, spots: Spots) -> None:
        self._spots = spots
        self._root = str(spots.root)
        self._facts: dict[str, tuple[_Version, ImageFacts]] = {}
        self._owners: dict[str, tuple[_Version, int | None]] = {}
        self._backs: dict[str, set[str]] = {}
        self._looking = threading.Lock()  # what is made during a look must not be forgotten by it

    def images(self) -> list[Image]:
        """Every image, by name."""
        with self._looking:
            return self._images()

    def _images(self) -> list[Image]:
        files = list(self._walk(""))
        known = {file.name: file for file in files}
        facts = {name: self._facts_of(file) for name, file in known.items()}
        backs: dict[str, set[str]] = defaultdict(set)
        for file in files:
            for base in self._bases(file, facts[file.name]):
                backs[base].add(file.name)
        self._forget_all_but(known)
        self._backs = backs
        return [self._image(known[name], facts[name]) for name in sorted(known)]

    def image(self, name: str) -> Image:
        """That image; raises NoSuchImage."""
        file = self._file(name)
        return self._image(file, self._facts_of(file))

    def facts(self, name: str) -> ImageFacts:
        """What that image says of itself; raises NoSuchImage."""
        return self._facts_of(self._file(name))

    def has(self, name: str) -> bool:
        """Whether there is a disk image of that name."""
        try:
            return self.facts(name).is_disk
        except NoSuchImage:
            return False

    def same_as(self, name: str) -> list[str]:
        """Every name of the same file."""
        real = self._spots.real_name(name)
        files = self._walk("")
        return sorted({name, *(file.name for file in files if file.real == real)})

    def backs(self, name: str) -> tuple[str, ...]:
        """What is based on it or a link to it, by the last look."""
        return tuple(sorted(self._backs.get(name, ())))

    def note_made(self, name: str) -> None:
        """Take in an image that was just made, without a look at all of them."""
        file = self._file(name)
        with self._looking:
            self._drop(name)
            for base in self._bases(file, self._facts_of(file)):
                self._backs.setdefault(base, set()).add(name)

    def note_gone(self, name: str) -> None:
        """Take in that an image was just deleted."""
        with self._looking:
            self._drop(name)

    def _drop(self, name: str) -> None:
        for based in self._backs.values():
            based.discard(name)

    def backing_of(self, name: str, facts: ImageFacts) -> str | None:
        """The image that one with these facts is based on; None for what is not in the store."""
        if facts.backing is None or names_another_protocol(facts.backing):
            return None
        path = posixpath.join(self._root, posixpath.dirname(name), facts.backing)
        real = self._spots.inside(path) if "\0" not in path else None
        return None if real is None or is_hidden(real) else real

    # ---- looking --------------------------------------------------------------------------------

    def _walk(self, below: str) -> Iterator[_File]:
        """Every file below a folder; no folder is entered by a link."""
        path = posixpath.join(self._root, below)
        try:
            entries = list(os.scandir(path))
        except FileNotFoundError as error:
            if below:
                return  # removed while we looked
            raise _away(path, error) from error
        except OSError as error:
            raise _away(path, error) from error
        for entry in entries:
            if entry.name.startswith(".") or not _is_text(entry.name):
                continue
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(name)
            elif (file := self._seen(name, entry)) is not None:
                yield file

    def _seen(self, name: str, entry: "os.DirEntry[str]") -> _File | None:
        try:
            if entry.is_symlink():
                return self._file(name)
            there = entry.stat(follow_symlinks=False)
        except (NoSuchImage, FileNotFoundError):
            return None  # a link that leads nowhere or outside, or removed while we looked
        return _File(name, name, there) if stat.S_ISREG(there.st_mode) else None

    def _file(self, name: str) -> _File:
        """The file of that name, if it is one; raises NoSuchImage."""
        there = self._spots.plain(name)
        if there is not None:
            return _File(name, name, there)
        with self._spots.at(name) as spot:
            there = _lstat(spot)
        if not stat.S_ISLNK(there.st_mode):
            return _regular(_File(name, name, there))
        real = self._spots.real_name(name)
        with self._spots.at(real) as spot:
            return _regular(_File(name, real, _lstat(spot)))

    def _facts_of(self, file: _File) -> ImageFacts:
        version = _version(file.there)
        known = self._facts.get(file.name)
        if known is not None and known[0] == version:
            return known[1]
        try:
            with self._spots.at(file.real) as spot, spot.reading() as fd:
                facts = read_facts(
                    lambda offset, length: os.pread(fd, length, offset), file.there.st_size
                )
        except (NoSuchImage, ImagesFailed, OSError):
            # Not remembered: it may be a good one that could not be read just now.
            return ImageFacts()
        self._facts[file.name] = (version, facts)
        return facts

    def _image(self, file: _File, facts: ImageFacts) -> Image:
        backing = self.backing_of(file.real, facts)
        if backing is None and facts.backing is not None:
            backing = facts.backing.encode("utf-8", "replace").decode()
        return Image(
            name=file.name,
            size=file.there.st_blocks * _BLOCK_BYTES,
            virtual_size=facts.virtual_size,
            format=facts.format,
            backing=backing,
            backs=self.backs(file.name),
            user_id=self._owner(file.name),
        )

    def _bases(self, file: _File, facts: ImageFacts) -> set[str]:
        """The images whose change would be this one's: by the name it has for it, and by file."""
        if file.real != file.name:
            return {file.real}
        real = self.backing_of(file.name, facts)
        if real is None or facts.backing is None:
            return set()
        path = posixpath.join(posixpath.dirname(file.name), facts.backing)
        return {real, posixpath.normpath(path)}

    def _owner(self, name: str) -> UserId | None:
        """Whose an image is; nobody's where nothing readable is beside it."""
        folder, _, base = name.rpartition("/")
        path = posixpath.join(self._root, folder, card_of(base))
        try:
            there = os.lstat(path)
        except OSError:
            self._owners.pop(name, None)
            return None
        known = self._owners.get(name)
        if known is None or known[0] != _version(there):
            known = self._owners[name] = (_version(there), _read_card(path).owner)
        return None if known[1] is None else UserId(known[1])

    def _forget_all_but(self, names: dict[str, _File]) -> None:
        for kept in (self._facts, self._owners):
            for name in list(kept):  # others may add to it meanwhile
                if name not in names:
                    kept.pop(name, None)


def _read_card(path: str) -> Card:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return msgspec.json.decode(os.read(fd, _LONGEST_CARD), type=Card)
        finally:
            os.close(fd)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Card()


def _lstat(spot: Spot) -> os.stat_result:
    try:
        return spot.lstat()
    except OSError as error:
        raise failed(spot.name, error) from error


def _regular(file: _File) -> _File:
    if not stat.S_ISREG(file.there.st_mode):
        raise no_such_image(file.name)
    return file


def _version(there: os.stat_result) -> _Version:
    return there.st_dev, there.st_ino, there.st_mtime_ns, there.st_ctime_ns, there.st_size


def _is_text(name: str) -> bool:
    """Whether a file's name can be told to anybody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _away(path: str, error: OSError) -> ImagesFailed:
    return ImagesFailed(f"{path} cannot be used: {error.strerror}.")
