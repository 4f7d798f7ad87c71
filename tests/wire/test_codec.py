"""Bytes into records: strict, and whatever is wrong becomes one clear sentence."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.errors import BadRequest
from tashi.wire import codec


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    x: int
    name: str = ""


def complaint(content: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        codec.decode(Point, content, "The point")
    return caught.value.message


@given(st.builds(Point, x=st.integers(-(2**60), 2**60), name=st.text()))
def test_what_is_encoded_decodes_to_its_equal(point: Point) -> None:
    assert codec.decode(Point, codec.encode(point), "The point") == point


@given(st.binary())
def test_no_bytes_whatever_cause_anything_but_a_bad_request(content: bytes) -> None:
    with suppress(BadRequest):
        codec.decode(Point, content, "The point")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"x": "1"}', "expected `int`, got `str` at `$.x`."),
        (b'{"x": 1, "z": 2}', "object contains unknown field `z`."),
        (b"{}", "object missing required field `x`."),
        (b"", "input data was truncated."),
        (b'{"x": 1} more', "JSON is malformed: trailing characters (byte 10)."),
        (b'{"x": 1, "name": "\xff"}', "its text is not UTF-8."),
        (b"[" * 100_000, "expected `object`, got `array`."),
        (b'{"x": 1, "name":' + b"[" * 100_000, "expected `str`, got `array` at `$.name`."),
    ],
)
def test_a_mistake_is_named_in_one_sentence(content: bytes, words: str) -> None:
    assert complaint(content) == f"The point is not understood: {words}"


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="nested too deeply"):
        codec.decode(msgspec.Raw, b"[" * 100_000, "The point")


def test_a_complaint_is_short_and_safe_to_print() -> None:
    words = complaint(b'{"\\u001b[2J\\n' + b"z" * 5000 + b'": 1}')

    assert words.isprintable()
    assert len(words) < 400


def test_a_sentence_that_is_too_long_keeps_how_it_begins_and_what_to_do() -> None:
    words = codec.printable(f"The name {'z' * 5000} is taken: choose another.")

    assert words.startswith("The name zz")
    assert words.endswith("zz is taken: choose another.")
    assert len(words) == codec.LONGEST_COMPLAINT
