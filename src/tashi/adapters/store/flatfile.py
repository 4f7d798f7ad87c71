"""The books in one readable file on the local disk: a journal of JSON lines.

Beside `<file>` stand `<file>.lock`, which says who owns it, and at times `<file>.new`, a fresh
file that takes the place of the old one when it is complete. `lines` says what stands in a file,
`reading` what damage is forgiven, `holdings` what may be left out of a fresh one.

A commit is one line, and is acknowledged when `fdatasync` has returned. What can go wrong:

* The line cannot be written (disk full, quota, I/O error). What was written of it is cut off, and
  nothing happened. A crash before the cut leaves a torn last line, which no reader takes.
* `fdatasync` fails. Then nobody can know: the kernel may have written the line or not, and after
  the failure it counts the pages as clean, so that reading shows the line, and a second
  `fdatasync` succeeds, even though the disk has nothing. This file is never appended to, nor
  asked, again. `settle` writes a fresh one with everything that was acknowledged and nothing
  else, out of memory and on other blocks; once that is durable under the file's name, the commit
  in doubt has not happened.
* The process dies after that failure, before `settle`. The next owner may find the line in memory
  that looks like the disk. So `load` too goes on in a fresh file, of all that it could read: what
  it found is durable before anybody acts on it. That also cuts off a torn line and brings an older
  schema up to date.
* The new name cannot be made durable after a swap. Either file may come back after a crash, and
  both hold every acknowledged commit; the next commit begins with a fresh file.
* Somebody removes the file. What is appended to a file without a name is lost with the process, so
  a fresh one is begun: before the next commit, or when `tend` sees it. If another file stands in
  its place, an owner may stand behind it: then nothing is written.

The owner calls from one thread. A swap while it runs is prepared by another (see `snapshot`).
"""

import logging
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Final

from tashi.adapters.store.growing import GrowingFile
from tashi.adapters.store.holdings import kept
from tashi.adapters.store.lines import Texts, texts_of, written
from tashi.adapters.store.ownership import Claim, expect_unlocked, open_trusted, said_plainly
from tashi.adapters.store.reading import Found, read_books
from tashi.adapters.store.snapshot import Snapshot, fresh_file
from tashi.adapters.store.steps import OnStep, Step, unheard
from tashi.domain.errors import Broken, OutcomeUnknown, StoreFailed
from tashi.domain.identity import CommitNumber
from tashi.domain.journal import Commit, Kept

_log = logging.getLogger(__name__)

_LEAST_GROWTH: Final = 4 * 1024 * 1024
"""By how many bytes a file has at least grown before a fresh one is worth while."""


class FlatFile:
    """A store in one file; after growing by what it began with, it is written anew.

    `growth` is another share of that, `least_growth` are bytes below which it is never worth while.
    `on_step` hears of every step, also from the thread that writes a fresh file.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_step: OnStep = unheard,
        growth: float = 1.0,
        least_growth: int = _LEAST_GROWTH,
    ) -> None:
        self._path = path.absolute()
        self._new = self._path.with_name(f"{path.name}.new")
        self._on_step = on_step
        self._growth = growth
        self._least_growth = least_growth
        self._claim: Claim | None = None
        self._texts = Texts()
        self._file: GrowingFile | None = None  # None: begin a fresh one before the next commit
        self._snapshot: Snapshot | None = None
        self._snapshot_at = 0
        self._in_doubt = False

    def load(self) -> Kept:
        """All that is kept, durable from here on; raises Refused, Misconfigured, StoreFailed."""
        self.close()
        try:
            with said_plainly(self._path):
                self._claim = Claim(self._path)
                found = self._read()
                self._texts = found.texts
                self._usable_file()
        except BaseException:
            self.close()
            raise
        return kept(found.records)

    def commit(self, commit: Commit) -> None:
        """Make the commit durable; raises StoreFailed, OutcomeUnknown, and Broken on misuse."""
        if self._claim is None or self._in_doubt:
            raise Broken(f"{self._path} takes no commit before it is loaded and settled.")
        self._texts.expect(commit)
        text = written(commit)
        file = self._write(text.line)
        self._make_durable(file)
        self._texts.take(commit, text.entries, text.answers)
        self._keep_short(file, text.line)

    def look(self) -> Kept:
        """What is kept at this moment, claiming nothing; raises Misconfigured, StoreFailed."""
        with said_plainly(self._path):
            file = open_trusted(self._path)
            if file is None:
                return Kept()
            with file:  # whole, and at once: it may be growing
                there = BufferedReader(BytesIO(file.read()))
        return kept(read_books(self._path, there, is_growing=True).records)

    def fill(self, begun_with: Kept) -> None:
        """Begin with all that; raises Broken unless the store is loaded and empty, StoreFailed."""
        if self._claim is None or self._texts.number or self._texts.standing:
            raise Broken(f"{self._path} is not loaded and empty, so it takes no other books.")
        texts = texts_of(begun_with)
        try:
            self._go_on_in(fresh_file(self._new, texts, self._on_step))
        except OSError as wrong:
            raise StoreFailed(
                f"The books could not be written to {self._path} ({wrong.strerror}); none of them "
                "are there, or all, and then perhaps not after a crash."
            ) from wrong
        self._texts = texts

    def settle(self) -> CommitNumber:
        """The last durable commit, which is the last acknowledged one; raises StoreFailed."""
        try:
            self._usable_file()
        except OSError as wrong:
            raise StoreFailed(
                f"{self._path} must be written anew after its last write failed, and that cannot "
                f"be done ({wrong.strerror}); no change is taken until it can."
            ) from wrong
        self._in_doubt = False
        return self._texts.number

    def tend(self) -> None:
        """Have a file that was removed there again; raises StoreFailed while that cannot be."""
        if self._claim is None or self._in_doubt:
            return
        try:
            if self._file is not None or not self._path.exists():  # else the next commit sees to it
                self._usable_file()
        except OSError as wrong:
            raise StoreFailed(
                f"{self._path} is not there as it was, and cannot be written anew "
                f"({wrong.strerror}). The books are in the memory of this process only."
            ) from wrong

    def close(self) -> None:
        """Give up ownership; harmless when repeated."""
        self._abandon_snapshot()
        self._leave_file()
        if self._claim is not None:
            self._claim.give_up()
        self._claim = None
        self._in_doubt = False

    # ---- one commit -----------------------------------------------------------------------------

    def _write(self, line: bytes) -> GrowingFile:
        try:
            file = self._usable_file()
            self._on_step(Step.BEFORE_APPEND)
            file.write(line)
        except OSError as wrong:
            self._cut_back()
            raise StoreFailed(
                f"The change could not be written to {self._path} ({wrong.strerror}); nothing of "
                "it happened."
            ) from wrong
        return file

    def _cut_back(self) -> None:
        try:
            self._on_step(Step.BEFORE_CUT)
            if self._file is not None:
                self._file.cut_back()
        except OSError:
            self._leave_file()

    def _make_durable(self, file: GrowingFile) -> None:
        try:
            self._on_step(Step.BEFORE_FSYNC)
            file.sync()
            self._on_step(Step.AFTER_FSYNC)
        except OSError as wrong:
            self._abandon_snapshot()
            self._leave_file()
            self._in_doubt = True
            raise OutcomeUnknown(
                f"The change was written to {self._path}, but may not have reached the disk "
                f"({wrong.strerror})."
            ) from wrong

    # ---- files that come and go -----------------------------------------------------------------

    def _read(self) -> Found:
        file = open_trusted(self._path)
        if file is None:
            return Found()
        with file:
            expect_unlocked(self._path, file)
            return read_books(self._path, file)

    def _usable_file(self) -> GrowingFile:
        if self._file is None or not self._file.has_its_name():
            was_removed = self._file is not None
            self._abandon_snapshot()
            self._go_on_in(fresh_file(self._new, self._texts, self._on_step))
            if was_removed:
                _log.warning("%s was removed: all that is kept is written anew.", self._path)
        assert self._file is not None
        return self._file

    def _go_on_in(self, fresh: GrowingFile) -> None:
        self._leave_file()
        try:
            fresh.take_the_place_of(self._path, self._on_step)
        except OSError:
            fresh.close()
            raise
        self._file = fresh
        self._snapshot_at = fresh.size + max(int(fresh.size * self._growth), self._least_growth)

    def _keep_short(self, file: GrowingFile, line: bytes) -> None:
        """Begin a snapshot when it is time, and swap it in when it is written.

        The commit is durable already: whatever fails here is told to the log only.
        """
        try:
            if self._snapshot is not None:
                self._snapshot.add(line)
                self._swap_in(self._snapshot)
            elif file.size >= self._snapshot_at:
                self._snapshot = Snapshot(self._new, self._texts, self._on_step)
        except (OSError, RuntimeError) as wrong:  # RuntimeError: no thread could be started
            self._snapshot = None
            self._snapshot_at = file.size + self._least_growth
            _log.warning("%s goes on growing: %s failed (%s).", self._path, self._new, wrong)

    def _swap_in(self, snapshot: Snapshot) -> None:
        if snapshot.is_written():
            self._go_on_in(snapshot.finish())
            self._snapshot = None

    def _abandon_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot.abandon()
        self._snapshot = None

    def _leave_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
