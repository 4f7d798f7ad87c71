"""How a flat file is read when a cluster manager starts: whole, or not at all.

The only damage that a crash can do is to the very last line, because a commit is durable before
the next one is begun, and because a file is complete before it gets its name. So a last line that
is torn was never acknowledged, and is left out with one line in the log. Any other damage is
somebody else's doing, and nothing is guessed: the file is refused with the place and what to do.
"""

import logging
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tashi.adapters.store import lines
from tashi.adapters.store.holdings import Holdings
from tashi.adapters.store.lines import (
    AnswerLine,
    BooksLine,
    CommitLine,
    EntryLine,
    Line,
    Texts,
    Torn,
)
from tashi.adapters.store.ownership import FLAT_FILE
from tashi.domain.errors import Broken, Misconfigured
from tashi.domain.identity import CommitNumber, EventNumber
from tashi.domain.journal import Answer, Entry

if TYPE_CHECKING:
    from io import BufferedReader

_log = logging.getLogger(__name__)

_PICKLE: Final = re.compile(rb"\x80[\x01-\x05]|[(\]}][(dlitq\]}.IVS]|c[\w.]+\n[\w.]+\n")
"""How pickles begin: with their protocol or, in the oldest, with a container or a class."""


class _Unexpected(ValueError):
    """The line makes sense, but not in this place."""


L = TypeVar("L", bound=Line)


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds: as texts, for the store, and as records, for the cluster manager."""

    texts: Texts = field(default_factory=Texts)
    records: Holdings[Entry, Answer] = field(default_factory=Holdings)

    def begin(self, line: BooksLine) -> None:
        """Begin with the numbers of the first line."""
        counters = lines.counters_of(line.counters)
        for holdings in (self.texts, self.records):
            holdings.number = CommitNumber(line.number)
            holdings.forget_before = EventNumber(line.forget_before)
            holdings.counters = counters

    def take_entry(self, text: bytes) -> None:
        """Hold an entry of the beginning."""
        entry = lines.entry_of(text)
        self.texts.take_entry(entry, text)
        self.records.take_entry(entry, entry)

    def take_answer(self, text: bytes) -> None:
        """Hold an answer of the beginning."""
        answer = lines.answer_of(text)
        self.texts.take_answer(answer, text)
        self.records.take_answer(answer, answer)

    def take_commit(self, line: CommitLine) -> None:
        """Hold a commit; raises Broken when it is not the next."""
        commit, entries, answers = lines.commit_of(line)
        self.texts.expect(commit)
        self.texts.take(commit, entries, answers)
        self.records.take(commit, commit.entries, commit.answers)


def read_books(
    path: Path,
    file: "BufferedReader[Any]",
    *,
    is_growing: bool = False,
    setting: str = FLAT_FILE,
) -> Found:
    """Everything in the file that `setting` names, without a torn last line; raises Misconfigured.

    In a file that is growing a torn last line is one in the making, and nothing to speak of.
    """
    _refuse_foreign(path, file, setting)
    reader = _Reader(path, file)
    found = Found()
    try:
        _read_beginning(reader, found)
        reader.in_beginning = False
        _read_commits(reader, found, logging.DEBUG if is_growing else logging.WARNING)
    except (Torn, _Unexpected, Broken, *lines.IMPOSSIBLE) as wrong:
        raise reader.damaged(wrong) from wrong
    return found


class _Reader:
    """The lines of a file, one by one, and the place of the present one."""

    def __init__(self, path: Path, file: "BufferedReader[Any]") -> None:
        self.path = path
        self.in_beginning = True
        self.offset = 0
        self.length = 0
        self._number = 0
        self._schema = 0
        self._file = file

    def is_at_end(self) -> bool:
        """Whether nothing follows the present line."""
        return not self._file.peek(1)

    def expect(self, kind: type[L]) -> L:
        """The next line, which must be of that kind; raises Torn, _Unexpected and IMPOSSIBLE."""
        self.offset += self.length
        self._number += 1
        if self.is_at_end():
            raise _Unexpected("the file ends too early")
        sealed = self._file.readline()
        self.length = len(sealed)
        text = lines.unsealed(sealed)
        self._schema = self._schema or self._known_schema(text)
        line = lines.parsed(lines.present(text, self._schema))
        if not isinstance(line, kind):
            raise _Unexpected(f"this is no {kind.__name__}")
        return line

    def damaged(self, why: Exception) -> Misconfigured:
        """The error that says where the damage is, and what to do."""
        cut = f"truncate --size={self.offset} {shlex.quote(str(self.path))}"
        rest = "." if self.in_beginning else f", or give up everything from there on with: {cut}"
        remedy = f"Nothing was changed. Restore it from a backup{rest}"
        return Misconfigured(
            f"{self.path} is damaged at byte {self.offset} (line {self._number}): "
            f"{str(why).rstrip('.')}. {remedy}"
        )

    def _known_schema(self, text: bytes) -> int:
        schema = lines.schema_of(text)
        if schema > lines.SCHEMA:
            raise Misconfigured(
                f"{self.path} was written by a newer Tashi (its schema is {schema}; this one knows "
                f"those up to {lines.SCHEMA}): run that version, or restore an older backup."
            )
        return schema


def _refuse_foreign(path: Path, file: "BufferedReader[Any]", setting: str) -> None:
    start = file.peek(64)
    if not start:
        raise Misconfigured(
            f"{path} is empty, which a file of Tashi never is: restore it from a backup, or remove "
            "it to begin with empty books."
        )
    if _PICKLE.match(start):
        raise Misconfigured(
            f"{path} is a pickle, as earlier versions of Tashi wrote it. Loading one runs whatever "
            "is in it, so it is not read: move it away, and the books begin empty."
        )
    if not lines.looks_sealed(start):
        raise Misconfigured(
            f"{path} is no file of Tashi's books: name another one in {setting}, or move it away."
        )


def _read_beginning(reader: _Reader, found: Found) -> None:
    books = reader.expect(BooksLine)
    found.begin(books)
    for _ in range(books.entries):
        found.take_entry(bytes(reader.expect(EntryLine).entry))
    for _ in range(books.answers):
        found.take_answer(bytes(reader.expect(AnswerLine).answer))


def _read_commits(reader: _Reader, found: Found, torn_is: int) -> None:
    while not reader.is_at_end():
        try:
            line = reader.expect(CommitLine)
        except Torn as torn:
            if not reader.is_at_end() or torn.holds_another:
                raise
            _log.log(
                torn_is,
                "The last line of %s is torn, as a crash leaves it: %s. Its %d bytes from byte %d "
                "on are cut off.",
                *(reader.path, torn, reader.length, reader.offset),
            )
        else:
            found.take_commit(line)
