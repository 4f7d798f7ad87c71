"""The values of rpyc's messages: the same bytes as rpyc, and bounded."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpyc.core import brine

from tashi.adapters.rpyc import plain
from tashi.adapters.rpyc.plain import Malformed, Plain

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
VALUES: st.SearchStrategy[Plain] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6).map(tuple), max_leaves=20
)


@given(VALUES)
def test_values_are_written_as_rpyc_writes_them(value: Plain) -> None:
    assert plain.write(value) == brine.dump(value)


@given(VALUES)
def test_values_are_read_as_rpyc_wrote_them(value: Plain) -> None:
    assert plain.read(brine.dump(value)) == value


@pytest.mark.parametrize("size", [0, 1, 4, 5, 255, 256, 70_000])
def test_every_length_of_bytes_and_texts_survives(size: int) -> None:
    for value in (b"x" * size, "x" * size):
        assert plain.write(value) == brine.dump(value)
        assert plain.read(plain.write(value)) == value


@given(st.binary(max_size=200))
def test_bytes_that_are_no_value_are_malformed_and_nothing_else(content: bytes) -> None:
    with suppress(Malformed):
        plain.read(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x10" * 1_000_000, id="nested without end"),
        pytest.param(b"\x14\xff" * 500_000, id="wide and nested"),
        pytest.param(
            b"\x15\xff\xff\xff\xff" + b"\x02" * 1000, id="a tuple of four thousand million"
        ),
        pytest.param(brine.dump(frozenset(range(1000))), id="a set"),
        pytest.param(brine.dump(slice(1, 2, 3)), id="a slice"),
        pytest.param(brine.dump(1.5), id="a float"),
        pytest.param(b"\x17\x00\x0f\x42\x40" + b"9" * 1_000_000, id="a million digits"),
        pytest.param(b"\x16\xff" + b"9" * 255, id="too many digits"),
        pytest.param(b"\x16\x03 12", id="a number with a space"),
        pytest.param(b"\x16\x00", id="a number of no digits"),
        pytest.param(b"\x0f\xff\xff\xff\xffshort", id="bytes that do not come"),
        pytest.param(b"\x0e", id="bytes without a length"),
        pytest.param(b"\x08\x02", id="a text made of a tuple"),
        pytest.param(b"\x08\x0a\xff", id="a text that is not UTF-8"),
        pytest.param(b"\x08" * 100_000, id="a text of texts"),
        pytest.param(b"\x00\x00", id="two values"),
        pytest.param(b"\xff", id="an unknown tag"),
    ],
)
def test_what_tashi_never_sends_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        plain.read(content)
