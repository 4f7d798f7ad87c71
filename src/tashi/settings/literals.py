"""Values that old configuration files write in Python, read as data.

Tashi's files hold lines such as `host1 = Host(name='node1', memory=8192)` and logging handlers'
`args=(sys.stdout,)`, which used to be evaluated. Here they are parsed to a syntax tree and only
numbers, texts, True, False, None, tuples, lists, dicts and a given few dotted names are taken out
of it. Anything else raises `Unsuitable`: no name is looked up and nothing is called, ever.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from tashi.settings.kinds import Kind, Unsuitable

T = TypeVar("T")

_LONGEST: Final = 10_000
_BEYOND_LITERALS: Final = "holds more than plain values"
_TYPE_NAMES: Final[Mapping[type, str]] = {
    int: "a whole number",
    str: "a text",
    bool: "True or False",
    list: "a list",
    type(None): "None",
}


def read_value(written: str, names: Mapping[str, object]) -> object:
    """Read one Python literal; a dotted name that is in `names` stands for what it maps to."""
    return _value(_tree(written), names)


def read_call(written: str, name: str) -> dict[str, object]:
    """Read `name(key=value, …)`, or the older `name({'key': value})` and `name(d={…})`."""
    tree = _tree(written)
    if not isinstance(tree, ast.Call) or _dotted(tree.func) != name:
        raise Unsuitable(f"is not of the form {name}(…)")
    fields: dict[str, object] = {}
    parts = [(None, part) for part in tree.args] + [(k.arg, k.value) for k in tree.keywords]
    for key, part in parts:
        value = _value(part, {})
        if key is None or key == "d":
            fields.update(_as_fields(value))
        else:
            fields[key] = value
    return fields


def _tree(written: str) -> ast.expr:
    if len(written) > _LONGEST:
        raise Unsuitable(f"is longer than {_LONGEST} characters")
    try:
        return ast.parse(written.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        raise Unsuitable(
            "cannot be read; perhaps a bracket or quotation mark is missing"
        ) from wrong


def _value(tree: ast.expr, names: Mapping[str, object]) -> object:
    name = _dotted(tree)
    if name in names:
        return names[name]
    match tree:
        case ast.Tuple(elts=parts):
            return tuple(_value(part, names) for part in parts)
        case ast.List(elts=parts):
            return [_value(part, names) for part in parts]
        case _:
            return _literal(tree)


def _literal(tree: ast.expr) -> object:
    try:
        value: object = ast.literal_eval(tree)
    except (ValueError, TypeError, RecursionError, MemoryError) as wrong:
        raise Unsuitable(_BEYOND_LITERALS) from wrong
    return value


def _dotted(tree: ast.expr) -> str:
    names: list[str] = []
    while isinstance(tree, ast.Attribute):  # a loop, so that no file can exhaust the stack
        names.append(tree.attr)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        return ""
    return ".".join([tree.id, *reversed(names)])


def _as_fields(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Unsuitable("has a value without a name")
    return value


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a record that is written as a call: the types it takes, and its default.

    A part without a default must be there.
    """

    types: tuple[type, ...]
    default: object = ...


@dataclass(frozen=True, slots=True)
class Form:
    """How a record is written: `name(part=…)`; parts that are `ignored` may be there as well."""

    name: str
    parts: Mapping[str, Part]
    ignored: tuple[str, ...] = ()


def record(form: Form, make: Callable[..., T], example: str) -> Kind[T]:
    """Values of a form, whose parts are handed to `make`; it may raise Unsuitable."""

    def read(written: str) -> T:
        given = read_call(written, form.name)
        for key in given:
            if key not in form.parts and key not in form.ignored:
                raise Unsuitable(f"has a part {key!r}, which a {form.name} has not")
        return make(**{key: _fitting(key, given, part) for key, part in form.parts.items()})

    return Kind(f"a line such as {example}", read)


def _fitting(key: str, given: Mapping[str, object], part: Part) -> object:
    value = given.get(key, part.default)
    if value is ...:
        raise Unsuitable(f"lacks {key}")
    if key in given and type(value) not in part.types:
        wanted = " or ".join(_TYPE_NAMES[allowed] for allowed in part.types)
        raise Unsuitable(f"has a {key} that is not {wanted}")
    return value
