"""The lines of the flat file, each way: from records to bytes and back.

    {"crc":"0f3c91d2","is":"books","schema":1,"number":7,"entries":2,"answers":0, …}
    {"crc":"5d00a3b7","is":"entry","entry":{…}}
    {"crc":"77e0c5aa","is":"answer","answer":{…}}
    {"crc":"b41f20ce","is":"commit","number":8,"entries":[{…}],"answers":[], …}

Every line is JSON (so that `jq` and `grep` are all one needs to look inside) and begins with the
CRC-32 of everything behind its first comma. A file is one `books` line, as many `entry` and
`answer` lines as that one announces, and then a `commit` line for each commit since. The shapes of
entries, answers and counters are those of the wire.

A change to any of these shapes, of which none may go unnoticed, adds a step to `schema`, with the
function that turns a line of the schema so far into one of the next. Pure: bytes in, bytes out.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from tashi.adapters.store import schema
from tashi.adapters.store.holdings import Holdings, begin
from tashi.adapters.store.schema import JsonObject
from tashi.domain.errors import BadRequest
from tashi.domain.identity import CommitNumber, EventNumber
from tashi.domain.journal import Answer, Commit, Counters, Entry, Kept
from tashi.wire.bookkeeping import AnswerForm, CountersForm
from tashi.wire.forms import (
    EntryForm,
    entry_form,
    entry_record,
    to_form,
    to_record,
)

Upgrades = tuple[Callable[[JsonObject], JsonObject], ...]
Texts = Holdings[bytes, bytes]
"""What is held, as the JSON texts of entries and answers."""

UPGRADES: Final[Upgrades] = tuple(step.line for step in schema.STEPS)
"""The first turns a line of schema 1 into one of schema 2, and so on."""

SCHEMA: Final = schema.SCHEMA

_START: Final = b'{"crc":"'  # within a line it cannot stand: JSON escapes quotes in strings
_SEAL: Final = _START + b'%08x",'
_SEAL_LENGTH: Final = len(_SEAL % 0)


class Torn(ValueError):
    """The bytes are no whole line: their end or their checksum is wrong."""

    def __init__(self, why: str, line: bytes) -> None:
        super().__init__(why)
        self.holds_another = _START in line[1:]
        """Whether a later line begins in it: then a line's end was lost, which no crash does."""


IMPOSSIBLE: Final = (msgspec.DecodeError, BadRequest)
"""What is raised by a line that is whole, but says what no line can say."""


class _Line(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, tag_field="is"
):
    """One line without its checksum."""


class BooksLine(_Line, frozen=True, tag="books"):
    """What is held when the file begins; its entries and answers are in the lines that follow."""

    schema: int
    number: int
    forget_before: int
    entries: int
    answers: int
    counters: CountersForm


class EntryLine(_Line, frozen=True, tag="entry"):
    """An entry that still mattered when the file was begun."""

    entry: msgspec.Raw


class AnswerLine(_Line, frozen=True, tag="answer"):
    """An answer that still mattered when the file was begun."""

    answer: msgspec.Raw


class CommitLine(_Line, frozen=True, tag="commit"):
    """One commit."""

    number: int
    entries: tuple[msgspec.Raw, ...]
    answers: tuple[msgspec.Raw, ...]
    counters: CountersForm
    forget_before: int
    forget_answers_before: int


Line = BooksLine | EntryLine | AnswerLine | CommitLine


class _SchemaLine(msgspec.Struct, frozen=True, tag_field="is", tag="books"):
    """All that a line of any schema is sure to say of it."""

    schema: int


@dataclass(frozen=True, slots=True)
class Written:
    """A commit as it stands in the file, and the texts of its entries and answers."""

    line: bytes
    entries: list[bytes]
    answers: list[bytes]


_encode = msgspec.json.Encoder().encode
_decode_line: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)
_decode_schema: Final = msgspec.json.Decoder(_SchemaLine)
_decode_entry: Final = msgspec.json.Decoder(EntryForm)
_decode_answer: Final = msgspec.json.Decoder(AnswerForm)


# ---- to bytes -----------------------------------------------------------------------------------


def written(commit: Commit) -> Written:
    """The commit as a line of the file."""
    entries = [_encode(entry_form(entry)) for entry in commit.entries]
    answers = [_encode(to_form(answer, AnswerForm)) for answer in commit.answers]
    line = CommitLine(
        number=commit.number,
        entries=tuple(map(msgspec.Raw, entries)),
        answers=tuple(map(msgspec.Raw, answers)),
        counters=to_form(commit.counters, CountersForm),
        forget_before=commit.forget_before,
        forget_answers_before=commit.forget_answers_before,
    )
    return Written(sealed(_encode(line)), entries, answers)


def texts_of(kept: Kept) -> Texts:
    """What was loaded, as it is held."""
    texts = Texts()
    for entry in begin(texts, kept):
        texts.take_entry(entry, _encode(entry_form(entry)))
    for answer in kept.answers:
        texts.take_answer(answer, _encode(to_form(answer, AnswerForm)))
    return texts


def beginning(texts: Texts) -> Iterator[bytes]:
    """The lines that a file of these holdings begins with."""
    entries = list(texts.essential())
    books = BooksLine(
        schema=SCHEMA,
        number=texts.number,
        forget_before=texts.forget_before,
        entries=len(entries),
        answers=len(texts.answers),
        counters=to_form(texts.counters, CountersForm),
    )
    yield sealed(_encode(books))
    for text in entries:
        yield sealed(b'{"is":"entry","entry":%b}' % text)
    for _, text in texts.answers:
        yield sealed(b'{"is":"answer","answer":%b}' % text)


def sealed(text: bytes) -> bytes:
    """The JSON object as a line with its checksum."""
    return b"%b%b\n" % (_SEAL % zlib.crc32(text[1:]), text[1:])


# ---- from bytes ---------------------------------------------------------------------------------


def unsealed(line: bytes) -> bytes:
    """The JSON object of a line; raises Torn when the line is not as it was written."""
    if not line.endswith(b"\n"):
        raise Torn("its end is missing", line)
    body = line[_SEAL_LENGTH:-1]
    if line[:_SEAL_LENGTH] != _SEAL % zlib.crc32(body):
        raise Torn("its checksum does not match", line)
    return b"{" + body


def looks_sealed(start: bytes) -> bool:
    """Whether something that starts like this may be a line at all."""
    return start.startswith(_START)


def schema_of(text: bytes) -> int:
    """The schema that the first line of a file names; raises IMPOSSIBLE."""
    return _decode_schema.decode(text).schema


def present(text: bytes, schema: int, upgrades: Upgrades = UPGRADES) -> bytes:
    """The text of a line of that schema, as a line of the schema that the upgrades lead to."""
    if schema > len(upgrades):
        return text
    line = msgspec.json.decode(text, type=JsonObject)
    for upgrade in upgrades[schema - 1 :]:
        line = upgrade(line)
    return _encode(line)


def parsed(text: bytes) -> Line:
    """The line that the text is; raises IMPOSSIBLE."""
    return _decode_line.decode(text)


def entry_of(text: bytes) -> Entry:
    """The entry that the text is; raises IMPOSSIBLE."""
    return entry_record(_decode_entry.decode(text))


def answer_of(text: bytes) -> Answer:
    """The answer that the text is; raises IMPOSSIBLE."""
    return to_record(_decode_answer.decode(text), Answer)


def counters_of(form: CountersForm) -> Counters:
    """The counters of a line; raises IMPOSSIBLE."""
    return to_record(form, Counters)


def commit_of(line: CommitLine) -> tuple[Commit, list[bytes], list[bytes]]:
    """The commit that the line is, and the texts of its entries and answers; raises IMPOSSIBLE."""
    entries, answers = [bytes(raw) for raw in line.entries], [bytes(raw) for raw in line.answers]
    commit = Commit(
        number=CommitNumber(line.number),
        entries=tuple(map(entry_of, entries)),
        answers=tuple(map(answer_of, answers)),
        counters=counters_of(line.counters),
        forget_before=EventNumber(line.forget_before),
        forget_answers_before=EventNumber(line.forget_answers_before),
    )
    return commit, entries, answers
