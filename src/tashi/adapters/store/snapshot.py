"""Fresh files for the flat file: what is held, written anew, without all that no longer matters.

A `Snapshot` is written by a thread of its own while commits go on. It shares nothing with the
store but a queue: it begins with a copy of what is held, the store adds the line of every commit
that becomes durable meanwhile, and when the thread has ended the store itself adds the few that
are left. So there is no lock, and a commit never waits for a big state.

It is written in small pieces, each made durable before the next: otherwise a commit's own fsync
would wait behind megabytes of somebody else's, for file systems write them out in one go.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from typing import Final

from tashi.adapters.store.growing import GrowingFile
from tashi.adapters.store.lines import Texts, beginning
from tashi.adapters.store.steps import OnStep, Step

_PIECE: Final = 256 * 1024
"""How much is written, and made durable, at a time; in bytes."""


def fresh_file(path: Path, texts: Texts, on_step: OnStep) -> GrowingFile:
    """A new, durable file at that path that holds those texts; raises OSError and leaves none."""
    file = GrowingFile(path)
    try:
        on_step(Step.SNAPSHOT_BEGUN)
        for piece in _pieces(beginning(texts)):
            file.write(piece)
            file.sync()
        on_step(Step.SNAPSHOT_WRITTEN)
    except OSError:
        file.discard()
        raise
    return file


class Snapshot:
    """A fresh file in the making; its owner adds to it, then finishes or abandons it."""

    def __init__(self, path: Path, texts: Texts, on_step: OnStep) -> None:
        self._since = deque[bytes]()
        self._file: GrowingFile | None = None
        self._failure: OSError | None = OSError("its thread ended early")
        self._thread = Thread(
            target=self._write, args=(path, texts.copy(), on_step), name="snapshot", daemon=True
        )
        self._thread.start()

    def add(self, line: bytes) -> None:
        """Have that durable commit in the file too."""
        self._since.append(line)

    def is_written(self) -> bool:
        """Whether `finish` will be quick."""
        return not self._thread.is_alive()

    def finish(self) -> GrowingFile:
        """The file, durable, with everything that was added; raises OSError and leaves none."""
        self._thread.join()
        try:
            if self._file is None or self._failure is not None:
                raise self._failure or OSError("it was not written")
            self._catch_up(self._file)
        except OSError:
            self.abandon()
            raise
        return self._file

    def abandon(self) -> None:
        """Wait for the thread, and leave no file."""
        self._thread.join()
        if self._file is not None:
            self._file.discard()

    def _write(self, path: Path, texts: Texts, on_step: OnStep) -> None:
        try:
            self._file = fresh_file(path, texts, on_step)
            self._catch_up(self._file)
            self._failure = None
        except OSError as failure:
            self._failure = failure

    def _catch_up(self, file: GrowingFile) -> None:
        while self._since:
            file.write(b"".join(self._since.popleft() for _ in range(len(self._since))))
        file.sync()


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
