"""Tables: which columns there are and which are seen, and how rows become lines.

A row is a mapping of plain values, the same that `--output json` gives; a column says how its value
is read by people. A sheet is a choice of columns for one kind of thing; some of them make a group,
which is shown and hidden as one. Rows are sorted by the first column that is seen. Nothing a cell
holds can reach the terminal as a control character.

A table is aligned text, on a terminal cut to its width. Where not even its header has room, each
row is a block of lines. It is laid out here and not by rich, whose
import costs more than all else that listing the instances does.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
Row: TypeAlias = Mapping[str, Json]
Texts: TypeAlias = Callable[[Json], str]

NOTHING: Final = "-"
_GAP: Final = "  "
_KIBI: Final = 1024
_NARROWEST: Final = 4


@dataclass(frozen=True, slots=True)
class Wish:
    """Whether to see a column; without a name it is about all of them."""

    shown: bool
    name: str | None = None


def as_text(value: Json) -> str:
    """Any value as people read it."""
    match value:
        case None | "":
            return NOTHING
        case str():
            return value
        case Mapping():
            return ",".join(f"{name}={as_text(one)}" for name, one in value.items()) or NOTHING
        case Sequence():
            return ",".join(as_text(one) for one in value) or NOTHING
        case _:
            return str(value)


def as_size(value: Json) -> str:
    """A number of bytes in the largest unit that keeps it above one."""
    assert isinstance(value, int)
    size: float = value
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _KIBI:
            return f"{size:.1f} {unit}" if unit != "B" else f"{value} B"
        size /= _KIBI
    return f"{size:.1f} TiB"


def as_rate(value: Json) -> str:
    """A number of bytes a second, likewise."""
    assert isinstance(value, int | float)
    return f"{as_size(round(value))}/s"


def as_percent(value: Json) -> str:
    """A part of one."""
    assert isinstance(value, int | float)
    return f"{value:.0%}".replace("%", " %")


def as_moment(value: Json) -> str:
    """Seconds since 1970 as a time of this machine's zone; 0 is no time."""
    assert isinstance(value, int | float)
    moment = datetime.fromtimestamp(value).astimezone()
    return moment.isoformat(" ", timespec="seconds") if value else NOTHING


def counted(number: int, what: str) -> str:
    """A number of things, in words such as ``1 host`` and ``2 hosts``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `value` is what rows are sorted by, `text` makes the cell; both from the row."""

    name: str
    shown: bool
    text: Callable[[Row], str]
    value: Callable[[Row], Json]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The columns that a kind of thing has."""

    columns: tuple[Column, ...]

    def seen(self, wishes: Iterable[Wish]) -> tuple[Column, ...]:
        """The columns to be seen, the later wish going before the earlier."""
        seen = {column.name: column.shown for column in self.columns}
        for wish in wishes:
            names = [one.name for one in self.columns if wish.name in {None, one.name, one.group}]
            seen.update(dict.fromkeys(names, wish.shown))
        return tuple(column for column in self.columns if seen[column.name])

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its groups of columns."""
        return tuple(dict.fromkeys(column.group for column in self.columns if column.group))

    def and_group(self, name: str, **texts: tuple[Callable[[Row], Json], Texts]) -> "Sheet":
        """The sheet with a hidden group of columns: how to find each one's value, and to read it.

        The values lie deeper in the row, which is why they have no field of their own in it.
        """
        more = (
            Column(column, shown=False, text=_read(value, text), value=value, group=name)
            for column, (value, text) in texts.items()
        )
        return Sheet((*self.columns, *more))


def sheet(shown: str, hidden: str = "", **texts: Callable[[Row], str]) -> Sheet:
    """A sheet of the named columns; `texts` make the cells of those that are not just values."""
    named = [(name, True) for name in shown.split()] + [(name, False) for name in hidden.split()]
    return Sheet(tuple(_column(name, seen, texts.get(name)) for name, seen in named))


def _column(name: str, shown: bool, text: Callable[[Row], str] | None) -> Column:
    def value(row: Row) -> Json:
        return row[name]

    return Column(name, shown, text or _read(value, as_text), value)


def _read(value: Callable[[Row], Json], text: Texts) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found = value(row)
        return NOTHING if found is None else text(found)

    return cell


def lines(columns: Sequence[Column], rows: Iterable[Row], room: int | None = None) -> list[str]:
    """The table as aligned text, a header first; numbers stand right.

    With `room`, the widest columns are cut until a line fits into that many places, or until there
    is nothing sensible left to cut.
    """
    if not columns:
        return []
    ordered = _sorted(columns, rows)
    cells = [[column.name for column in columns], *_cells(columns, ordered)]
    widths = [max(map(places, column)) for column in zip(*cells, strict=True)]
    if room is not None:
        widths = _fitted(widths, room)
    right = [_is_number(column, ordered) for column in columns]
    return [_line(line, widths, right) for line in cells]


def has_room(columns: Sequence[Column], room: int) -> bool:
    """Whether a line has places for the columns' names at least."""
    return sum(places(one.name) for one in columns) + len(_GAP) * (len(columns) - 1) <= room


def blocks(columns: Sequence[Column], rows: Iterable[Row], room: int) -> list[str]:
    """Each row as lines of its own, one for each column, with an empty line between two rows."""
    ordered = _sorted(columns, rows)
    names = max(places(column.name) for column in columns)
    widths = [names, max(room - names - len(_GAP), _NARROWEST)]
    found: list[str] = []
    for cells in _cells(columns, ordered):
        pairs = zip((column.name for column in columns), cells, strict=True)
        found += ["", *(_line(pair, widths, (False, False)) for pair in pairs)]
    return found[1:]


def places(text: str) -> int:
    """How many places a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_places_of_letter, text))


def harmless(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _cells(columns: Sequence[Column], rows: Iterable[Row]) -> list[list[str]]:
    return [[harmless(column.text(row)) for column in columns] for row in rows]


def _sorted(columns: Sequence[Column], rows: Iterable[Row]) -> list[Row]:
    first = columns[0]
    return sorted(rows, key=lambda row: _rank(first.value(row)))


def _rank(value: Json) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what there is not."""
    if isinstance(value, int | float):
        return (0, value, "")
    return (1 if value else 2, 0, as_text(value))


def _is_number(column: Column, rows: Iterable[Row]) -> bool:
    values = [column.value(row) for row in rows]
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    return bool(numbers) and len(numbers) + values.count(None) == len(values)


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns what is too much, one place at a time."""
    room -= len(_GAP) * (len(widths) - 1)
    fitted = [min(width, max(room, _NARROWEST)) for width in widths]
    while sum(fitted) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _line(cells: Iterable[str], widths: Iterable[int], right: Iterable[bool]) -> str:
    padded = (
        _padded(_cut(cell, width), width, on_the_right)
        for cell, width, on_the_right in zip(cells, widths, right, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _padded(cell: str, width: int, on_the_right: bool) -> str:
    space = " " * (width - places(cell))
    return space + cell if on_the_right else cell + space


def _cut(cell: str, width: int) -> str:
    if places(cell) <= width:
        return cell
    cell = cell[:width]
    while places(cell) > width - 1:
        cell = cell[:-1]
    return f"{cell}…"


def _places_of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1
