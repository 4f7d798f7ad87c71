"""Lines that look like Python are data: nothing in them is looked up, called or evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.settings.kinds import Unsuitable
from tashi.settings.literals import Form, Part, read_call, read_value, record

NAMES = {"sys.stdout": "out"}
POINT = record(
    Form("Point", {"x": Part((int,)), "label": Part((str, type(None)), default=None)}, ("z",)),
    lambda x, label: (x, label),
    "Point(x=1)",
)

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(LITERALS)
def test_a_literal_is_read_as_itself(value: object) -> None:
    assert read_value(repr(value), {}) == value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("(sys.stdout,)", ("out",)),
        ("[sys.stdout, 1]", ["out", 1]),
        ("('/dev/log')", "/dev/log"),
        ("-1", -1),
    ],
)
def test_known_names_stand_for_their_values(written: str, value: object) -> None:
    assert read_value(written, NAMES) == value


@pytest.mark.parametrize(
    "written",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "sys.stderr",
        "unknown",
        "lambda: 1",
        "f'{1}'",
        "[x for x in 'ab']",
        "{**{}}",
        "{[]: 1}",
        "1 if True else 2",
    ],
)
def test_whatever_would_have_to_be_evaluated_is_refused(written: str) -> None:
    with pytest.raises(Unsuitable, match="holds more than plain values"):
        read_value(written, NAMES)


@pytest.mark.parametrize("written", ["", "(", "'", "1 2", "(" * 300, "\0", "a" * 20_000])
def test_what_is_no_expression_is_refused(written: str) -> None:
    with pytest.raises(Unsuitable, match=r"cannot be read|is longer than"):
        read_value(written, NAMES)


@pytest.mark.parametrize("written", ["a" + ".a" * 4990, "-" * 9000 + "1", "1" + "+1" * 4000])
def test_depth_exhausts_nothing(written: str) -> None:
    with pytest.raises(Unsuitable):
        read_value(written, NAMES)


@pytest.mark.parametrize(
    "written",
    [
        "Point(x=1, label='a')",
        "Point(**{'x': 1, 'label': 'a'})",
        "Point({'x': 1, 'label': 'a'})",
        "Point(d={'x': 1}, label='a')",
    ],
)
def test_a_record_may_be_written_in_each_of_its_ways(written: str) -> None:
    assert POINT.read(written) == (1, "a")


def test_parts_that_are_ignored_may_be_there_and_defaults_need_not() -> None:
    assert POINT.read("Point(x=1, z=[2])") == (1, None)


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ("Line(x=1)", "is not of the form"),
        ("1", "is not of the form"),
        ("Point()", "lacks x"),
        ("Point(x=1, y=2)", "has a part 'y', which a Point has not"),
        ("Point(x=True)", "has a x that is not a whole number"),
        ("Point(x=1, label=2)", "has a label that is not a text or None"),
        ("Point(1)", "has a value without a name"),
        ("Point({1: 2})", "has a value without a name"),
        ("Point(x=exit())", "holds more than plain values"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_in_words(written: str, wrong: str) -> None:
    with pytest.raises(Unsuitable, match=wrong):
        POINT.read(written)


def test_a_call_may_have_a_dotted_name() -> None:
    assert read_call("tashi.Host(id=1)", "tashi.Host") == {"id": 1}
