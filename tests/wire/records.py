"""Hypothesis strategies for any record that travels, made from its fields."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

INTS = st.integers(-(2**53), 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of that type."""
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    if isinstance(kind, type) and is_dataclass(kind):
        return records(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) is Mapping:
        return st.dictionaries(st.text(), st.text(), max_size=3)
    if get_origin(kind) in {types.UnionType, Union}:
        return st.one_of(*map(values, get_args(kind)))
    plain = {
        int: INTS,
        float: FLOATS,
        str: st.text(),
        bool: st.booleans(),
        types.NoneType: st.none(),
    }
    return plain[kind]


def records(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any record of that kind."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})
