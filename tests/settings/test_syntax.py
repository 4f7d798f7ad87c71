"""Configuration text is read as ConfigParser reads it, with lines, and past its mistakes."""

import configparser

from hypothesis import given
from hypothesis import strategies as st

from tashi.settings.syntax import parse

_PIECES = ["[a]", "[b]", *"[]=:k\t#;", "K ", "other", " ", "  ", "v 1", "%(x)s"]
LINES = st.lists(st.sampled_from(_PIECES), max_size=5).map("".join)
TEXTS = st.lists(LINES, max_size=12).map(lambda lines: "\n".join(["[first]", *lines]))


def as_config_parser_reads(text: str) -> dict[str, dict[str, str]] | None:
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {name: dict(parser.items(name)) for name in parser.sections() if parser.items(name)}


@given(TEXTS)
def test_what_config_parser_accepts_is_read_the_same(text: str) -> None:
    expected = as_config_parser_reads(text)

    parsed = parse(text)

    if expected is None:
        assert parsed.unclear
    else:
        values: dict[str, dict[str, str]] = {}
        for entry in parsed.entries:
            values.setdefault(entry.section, {})[entry.key.lower()] = entry.value
        assert parsed.unclear == []
        assert values == expected


def test_keys_carry_their_line_and_their_spelling() -> None:
    parsed = parse("[Vfs]\n\n# where\nPrefix = /srv\n")

    (entry,) = parsed.entries
    assert (entry.section, entry.key, entry.value, entry.line) == ("Vfs", "Prefix", "/srv", 4)


def test_a_value_goes_on_in_lines_that_are_indented_deeper() -> None:
    parsed = parse("[a]\nk = 1\n   2\n; not this\n\n   3\nl = 4")

    assert [(entry.key, entry.value) for entry in parsed.entries] == [
        ("k", "1\n2\n\n3"),
        ("l", "4"),
    ]


def test_lines_that_say_nothing_are_numbered_and_the_rest_is_read() -> None:
    parsed = parse("[a]\nnonsense\nk = 1\n= 2\n")

    assert parsed.unclear == [2, 4]
    assert [entry.key for entry in parsed.entries] == ["k"]


def test_keys_above_the_first_header_belong_to_no_section() -> None:
    parsed = parse("k = 1\n[a]\n")

    assert [(entry.section, entry.key) for entry in parsed.entries] == [("", "k")]
