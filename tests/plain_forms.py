"""Forms filled with plain values, for calls that are about who makes them or about one argument."""

import types
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

PLAIN: Final[Mapping[type, object]] = {int: 1, str: "a", float: 0.0, bool: False, bytes: ""}


def plain(kind: Any) -> Any:
    """A value that is of that type."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) is tuple:
        return [plain(get_args(kind)[0])]
    if get_origin(kind) in {Union, types.UnionType}:
        return None
    if issubclass(kind, msgspec.Struct):
        return whole(kind)
    return next(iter(kind)).value if issubclass(kind, Enum) else PLAIN[kind]


def whole(form: type[msgspec.Struct]) -> dict[str, Any]:
    """What a form must have, with plain values."""
    fields = msgspec.structs.fields(form)
    return {one.encode_name: plain(one.type) for one in fields if one.required}
