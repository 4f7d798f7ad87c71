"""The command line that every benchmark has, and the two forms in which it shows its figures.

A report is one row per case. `--output json` prints one object with the rows and whatever else the
bench says of the run; `--output table` prints the same for people.
"""

import argparse
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Figure = str | int | float | None
Row = Mapping[str, Figure]

_NONE: Final[Mapping[str, float]] = {}


def command_line(doc: str | None) -> argparse.ArgumentParser:
    """The options of every bench, described by the first line of its docstring."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="take less than a minute")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    return parser


@dataclass(frozen=True, slots=True)
class Report:
    """What one run has found; `about` says under which circumstances, `notes` how to read it."""

    bench: str
    about: Mapping[str, Figure]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    def show(self, output: str) -> None:
        """Print it in that form."""
        if output == "json":
            print(json.dumps({"bench": self.bench, **self.about, "rows": self.rows}))
            return
        for name, figure in self.about.items():
            print(f"{name}: {_written(figure)}")
        print(*_lines(self.rows), *self.notes, sep="\n")


def verdict(
    row: Row, *, at_most: Mapping[str, float] = _NONE, at_least: Mapping[str, float] = _NONE
) -> str:
    """Whether a row's figures are what they are to be: ``met``, or which are not.

    Nothing where the row has none of them.
    """
    there = {name: figure for name, figure in row.items() if isinstance(figure, int | float)}
    missed = [name for name in at_most if name in there and there[name] > at_most[name]]
    missed += [name for name in at_least if name in there and there[name] < at_least[name]]
    if missed:
        return f"missed: {', '.join(missed)}"
    return "met" if there.keys() & {*at_most, *at_least} else ""


def median(figures: Iterable[float], digits: int = 1) -> float:
    """The middle one, rounded."""
    return round(statistics.median(figures), digits)


def mean(figures: Iterable[float], digits: int = 1) -> float:
    """What they come to on average, rounded: for figures of two sorts, between which a middle one
    would jump.
    """
    return round(statistics.fmean(figures), digits)


def middle_half(figures: Iterable[float], digits: int = 1) -> str:
    """Between which two the middle half of them lies."""
    known = list(figures)
    first, _, last = statistics.quantiles(
        known * 2 if len(known) == 1 else known, n=4, method="inclusive"
    )
    return f"{first:.{digits}f} to {last:.{digits}f}"


def _lines(rows: Sequence[Row]) -> Iterable[str]:
    table = [list(rows[0]), *([_written(figure) for figure in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        yield "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))


def _written(figure: Figure) -> str:
    if figure is None:
        return "-"
    return f"{figure:,}" if isinstance(figure, int) else str(figure)
