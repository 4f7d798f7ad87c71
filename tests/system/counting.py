"""What guests that count have said, over all the hosts that they ran on.

A guest's console is kept by a second name, so that it can be read when its host has long cleared
the guest away. Put one behind the other, the numbers must go on without a gap and without any that
is said twice; where a QEMU died, one that was counted may not have been said any more.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

import boot_sectors
from system.guests import Guest, guests_in

TABLES: Final = pytest.StashKey[list[str]]()
"""Tables to be printed when all tests are over."""
_LINE: Final = 9
"""A number with the end of its line."""
PATIENCE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Tally:
    """The consoles of one instance's guests, in the order in which they were met."""

    site: Path
    keep: Path
    instance: int
    _consoles: dict[int, Path] = field(default_factory=dict)

    def guests(self) -> list[Guest]:
        """Its guests as they are now."""
        return [one for one in guests_in(self.site) if one.instance == self.instance]

    def take_up(self) -> None:
        """Keep the consoles of the guests that are there now."""
        self.keep.mkdir(exist_ok=True)
        for guest in self.guests():
            console = guest.folder / "console.log"
            number = console.stat().st_ino
            if number not in self._consoles:
                kept = self.keep / f"{self.instance}-{len(self._consoles)}"
                os.link(console, kept)
                self._consoles[number] = kept

    def numbers(self) -> list[int]:
        """All that were said, from the first to the last."""
        before = last = b""
        # Where a guest was only awaited, nothing was said.
        for text in filter(None, (kept.read_bytes() for kept in self._consoles.values())):
            # What was said where it was stored comes with the guest, and is not said again.
            if not text.startswith(last):
                before = _joined(before, last)
            last = text
        return boot_sectors.counted(_joined(before, last))

    def goes_on(self, more: int = 5) -> None:
        """Wait until the one guest has counted on; fails when it does not."""
        before = len(self.numbers())
        until(lambda: len(self.numbers()) >= before + more, lambda: f"It stays at {before}.")

    def faults(self, deaths: int) -> list[str]:
        """What is wrong with the numbers, when so many of its guests have died."""
        numbers = self.numbers()
        steps = [after - before for before, after in pairwise(numbers)]
        odd = [step for step in steps if step != 1]
        missing = sum(step - 1 for step in odd if step > 1)
        if numbers[0] == 1 and all(step > 1 for step in odd) and missing <= deaths:
            return []
        return [f"{numbers[0]} … {numbers[-1]} with steps {odd}"]


def until(holds: Callable[[], bool], words: Callable[[], str]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, words()
        time.sleep(0.02)


def _joined(before: bytes, after: bytes) -> bytes:
    """Two consoles in one; a line that was begun on one host may have been ended on another."""
    begun = before.rpartition(b"\n")[2]
    ended, found, _ = after.partition(b"\n")
    is_one_line = begun and found and len(begun) + len(ended) + 1 == _LINE
    return before + after if is_one_line or not begun else before + b"\n" + after


def as_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for people."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (heads, *rows)]
    rule = "-" * max(map(len, lines))
    return "\n".join([title, rule, lines[0], rule, *lines[1:], rule])
