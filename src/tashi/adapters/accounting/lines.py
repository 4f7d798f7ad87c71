"""Apache Tashi's lines of accounting, in a file of their own.

    1764428290.5|CM VM ACTIVATE|Host({'id': 1, …}),Instance({'id': 7, …})

Time, event, and the records it is about, written as Python writes dictionaries, under Tashi's names
and in its order. The host is the one that the instance is on.

A line stands in the file once. Beside the place in the journal the bookmark says how long the file
was there, so what a crash has left beyond is cut off and written anew. The file may be renamed and
so rotated at any time; if that happens while nobody writes, it is looked for under its new name,
which begins with the old one. Only what was packed by then cannot be cut any more.
"""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.accounting.bookmark import Bookmark, sync_folder
from tashi.domain.errors import BadRequest, StoreFailed
from tashi.domain.identity import EventNumber
from tashi.ports.outlets import BEGINNING, Place

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o640
_BEGINNING: Final = re.compile(rb"[\d.]+(\||\Z)")
"""How a line begins: with a time, of which a crash may have left a part."""


class _Kept(msgspec.Struct, frozen=True):
    """A place in the journal, and how long which file was there."""

    volume: int
    event: int
    inode: int
    size: int


class _Tashis(msgspec.Struct, rename="camel"):
    """What Tashi had, under its names and in its order; what we have beyond is left out."""


class _Disk(_Tashis):
    uri: str
    persistent: bool = False


class _Nic(_Tashis):
    network: int
    mac: str = ""
    ip: str | None = None


class _Instance(_Tashis, kw_only=True):
    id: int
    vm_id: int | None = None
    host_id: int | None = None
    decayed: bool = False
    state: int = 1
    user_id: int
    name: str
    cores: int
    memory: int
    disks: list[_Disk] = []
    nics: list[_Nic] = []
    hints: dict[str, str] = {}
    group_name: str = ""


class _Host(_Tashis):
    id: int
    name: str
    up: bool = False
    decayed: bool = False
    state: int = 1
    memory: int = 0
    cores: int = 0
    version: str = ""
    notes: str = ""
    reserved: list[int] = []


class _Line(msgspec.Struct):
    """Any line of the journal: the first of a volume has hosts, the others a number."""

    hosts: list[_Host] = []
    number: int = 0
    at: float = 0.0
    line: str = ""
    kind: str = ""
    key: int = 0
    instance: _Instance | None = None
    host: _Host | None = None


_decode: Final = msgspec.json.Decoder(_Line).decode


class LineLog:
    """An outlet into that file; `bookmark` is where it keeps how far it has got."""

    def __init__(self, path: Path, bookmark: Bookmark) -> None:
        self._path = path
        self._bookmark = bookmark
        self._hosts: dict[int, _Host] = {}
        self._fd = -1

    @property
    def name(self) -> str:
        """The file."""
        return f"The log {self._path}"

    def place(self, newest: Callable[[], Place]) -> Place:
        """Behind which event it goes on: at first, the journal's beginning."""
        del newest
        self.close()
        kept = self._bookmark.read(_Kept)
        try:
            if kept is not None:
                self._cut_back(kept)
            self._open()
            place = BEGINNING if kept is None else Place(kept.volume, EventNumber(kept.event))
            self._keep(place)
        except OSError as wrong:
            raise self._failed(wrong) from wrong
        return place

    def hear(self, line: bytes) -> None:
        """Learn which hosts there are."""
        heard = _read(line)
        if heard.number == 0:
            self._hosts = {host.id: host for host in heard.hosts}
        else:
            self._learn(heard)

    def take(self, volume: int, lines: Sequence[bytes]) -> None:
        """Write a line for each event that is worth one."""
        texts, number = [], 0
        for line in lines:
            event = _read(line)
            texts.append(self._text(event))
            self._learn(event)
            number = event.number
        try:
            self._follow_the_name()
            if any(texts):
                self._write("".join(texts).encode())
            self._keep(Place(volume, EventNumber(number)))
        except OSError as wrong:
            raise self._failed(wrong) from wrong

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ---- lines ----------------------------------------------------------------------------------

    def _learn(self, event: _Line) -> None:
        if event.host is not None:
            self._hosts[event.key] = event.host

    def _text(self, event: _Line) -> str:
        if not event.line:
            return ""
        return f"{event.at}|{event.line}|{','.join(self._records(event))}\n"

    def _records(self, event: _Line) -> Iterator[str]:
        one = event.instance
        key = event.key if event.kind == "host" else one and one.host_id
        host = event.host or self._hosts.get(key or 0)
        if host is not None:
            yield f"Host({msgspec.to_builtins(host)})"
        if one is not None:
            yield f"Instance({msgspec.to_builtins(one)})"

    # ---- the file -------------------------------------------------------------------------------

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._fd = os.open(self._path, _FLAGS, _MODE)
        sync_folder(self._path.parent)  # or a power cut may take the name, and all lines with it

    def _follow_the_name(self) -> None:
        """Begin another file when this one was renamed or removed."""
        there = self._path.lstat() if self._path.exists() else None
        if there is None or not os.path.samestat(there, os.fstat(self._fd)):
            kept = self._bookmark.read(_Kept)
            self.close()
            self._open()
            self._keep(BEGINNING if kept is None else Place(kept.volume, EventNumber(kept.event)))

    def _cut_back(self, kept: _Kept) -> None:
        """Cut off what was written but not noted, whatever the file is called by now."""
        for path in self._path.parent.glob(f"{glob.escape(self._path.name)}*"):
            found = path.lstat()
            if found.st_ino == kept.inode and found.st_size > kept.size:
                self._cut(path, kept.size)

    def _cut(self, path: Path, size: int) -> None:
        """Cut off lines of ours: another file may have our file's number by now, but no lines."""
        with path.open("r+b") as file:
            file.seek(size)
            if _BEGINNING.match(file.readline()):
                file.truncate(size)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        os.fsync(self._fd)

    def _keep(self, place: Place) -> None:
        found = os.fstat(self._fd)
        self._bookmark.write(_Kept(place.volume, place.event, found.st_ino, found.st_size))

    def _failed(self, wrong: OSError) -> StoreFailed:
        return StoreFailed(f"It cannot be written ({wrong.strerror or wrong}).")


def _read(line: bytes) -> _Line:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadRequest(f"A line of the journal is not understood ({wrong}).") from wrong
