"""Bytes into typed records and back: the only place that reads or writes JSON.

What a peer sent is hostile until it has passed here, so decoding is strict (no silent conversion,
no unknown fields in forms that forbid them) and whatever is wrong with it becomes one
`BadRequest` with one clear sentence, of bounded length and without control characters.
"""

from typing import Final, TypeVar

import msgspec

from tashi.domain.errors import BadRequest

Form = TypeVar("Form")

LONGEST_COMPLAINT: Final = 300


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


def printable(text: str) -> str:
    """Take from a peer's text what is safe to log and to show on a terminal, in bounded length."""
    kept = text if len(text) <= LONGEST_COMPLAINT else text[: LONGEST_COMPLAINT - 1] + "…"
    if kept.isprintable():
        return kept
    return "".join(letter if letter.isprintable() else "�" for letter in kept)


def _sentence(wrong: Exception) -> str:
    if isinstance(wrong, UnicodeDecodeError):
        return "its text is not UTF-8."
    words = printable(str(wrong)).replace(" - at ", " at ").rstrip(".")
    starts_a_sentence = words[1:2].islower()
    return f"{words[0].lower()}{words[1:]}." if starts_a_sentence else f"{words}."
