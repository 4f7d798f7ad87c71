"""Bytes from a pipe become lines, however they were chunked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tashi.supervisor.lines import Lines

TEXTS = st.text(alphabet="ab\n", max_size=40).map(str.encode)


@given(TEXTS, st.lists(st.integers(0, 40), max_size=8))
def test_the_lines_do_not_depend_on_the_chunks(text: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(text)]
    chunks = [text[start:end] for start, end in pairwise(places)]

    lines = Lines()
    heard = [line for chunk in chunks for line in lines.feed(chunk)] + lines.finish()

    assert heard == (text.split(b"\n")[:-1] + [rest for rest in text.split(b"\n")[-1:] if rest])


def test_a_line_that_never_ends_is_cut() -> None:
    lines = Lines(longest=4)

    assert lines.feed(b"abcdefghij") == [b"abcd", b"efgh"]
    assert lines.feed(b"\n\n") == [b"ij", b""]


def test_what_was_finished_is_forgotten() -> None:
    lines = Lines()
    lines.feed(b"half")

    assert lines.finish() == [b"half"]
    assert lines.finish() == []
