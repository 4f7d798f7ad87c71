"""Bytes into typed records and back: the only place that reads or writes JSON.

What a peer sent is hostile until it has passed here, so decoding is strict (no silent conversion,
no unknown fields in forms that forbid them) and whatever is wrong with it becomes one
`BadRequest` with one clear sentence, of bounded length and without control characters.

The bytes of a form travel inside the JSON as base64, or raw: then the JSON has none in their place,
and behind it come a zero byte, which JSON never contains, and they themselves.
"""

from functools import cache
from typing import Final, TypeVar

import msgspec

from tashi.domain.errors import BadRequest

Form = TypeVar("Form")

LONGEST_COMPLAINT: Final = 300
_END_OF_TEXT: Final = b"\0"


def decode(form: type[Form], content: bytes | msgspec.Raw, what: str) -> Form:
    """Read `content` as one `form`; `what` names it in the complaint ("The request").

    Raises BadRequest and nothing else, whatever the bytes are.
    """
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadRequest(f"{what} is not understood: {_sentence(wrong)}") from wrong
    except RecursionError as deep:
        raise BadRequest(f"{what} is not understood: it is nested too deeply.") from deep


def encode(record: object) -> bytes:
    """Write a record that `decode` reads back as its equal."""
    return msgspec.json.encode(record)


def encode_apart(record: object) -> tuple[bytes, bytes | None]:
    """Write a record, and apart from it the bytes in it that are to travel raw, if it has such."""
    place = _place_of_raw(record)
    if place is None:
        return encode(record), None
    assert isinstance(record, msgspec.Struct)
    return encode(msgspec.structs.replace(record, **{place: b""})), getattr(record, place)


def joined(text: bytes, raw: bytes | None) -> bytes:
    """JSON, with raw bytes behind it if there are any to come."""
    return text if raw is None else b"".join((text, _END_OF_TEXT, raw))


def text_of(content: bytes) -> bytes:
    """The JSON of what was joined."""
    end = content.find(_END_OF_TEXT)
    return content if end < 0 else content[:end]


def raw_of(content: bytes) -> bytes | None:
    """What stands raw behind the JSON, if anything was joined to it."""
    end = content.find(_END_OF_TEXT)
    return None if end < 0 else content[end + 1 :]


def with_raw(record: Form, raw: bytes | None, what: str) -> Form:
    """The record with the raw bytes that came with it; raises BadRequest where none belong."""
    if raw is None:
        return record
    place = _place_of_raw(record)
    if place is None:
        raise BadRequest(f"{what} is not understood: no raw bytes belong to it.")
    assert isinstance(record, msgspec.Struct)
    if getattr(record, place):
        raise BadRequest(f"{what} is not understood: its bytes came twice.")
    return msgspec.structs.replace(record, **{place: raw})


def _place_of_raw(record: object) -> str | None:
    """The field of a form whose bytes can travel raw: the only one that is of bytes."""
    kind: type = type(record)
    return _only_bytes(kind) if isinstance(record, msgspec.Struct) else None


@cache
def _only_bytes(form: type[msgspec.Struct]) -> str | None:
    places = [one.name for one in msgspec.structs.fields(form) if one.type is bytes]
    return places[0] if len(places) == 1 else None


def printable(text: str) -> str:
    """Take from a peer's text what is safe to log and to show on a terminal, in bounded length.

    What is too long lacks its middle: a sentence ends with what to do.
    """
    half = LONGEST_COMPLAINT // 2
    kept = text if len(text) <= LONGEST_COMPLAINT else f"{text[: half - 1]}…{text[-half:]}"
    if kept.isprintable():
        return kept
    return "".join(letter if letter.isprintable() else "�" for letter in kept)


def _sentence(wrong: Exception) -> str:
    if isinstance(wrong, UnicodeDecodeError):
        return "its text is not UTF-8."
    words = printable(str(wrong)).replace(" - at ", " at ").rstrip(".")
    starts_a_sentence = words[1:2].islower()
    return f"{words[0].lower()}{words[1:]}." if starts_a_sentence else f"{words}."
