"""Configuration files laid one over the other, with the place that gave each value.

Nothing is judged here but what makes a file unreadable: its syntax, its encoding, its permissions
and keys that it gives twice. Keys and kinds are judged by `judge`. Sections are told apart by
case, keys are not, as with ConfigParser.
"""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tashi.settings import syntax

MASK: Final = "********"
_LONGEST_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: a line of a file, an environment variable, or the default."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


DEFAULT: Final = Origin("default")


@dataclass(frozen=True, slots=True)
class Given:
    """A value and its key as they are written; `order` is higher for what was read later."""

    key: str
    value: str
    origin: Origin
    order: int


Layers = Mapping[str, Mapping[str, Given]]
"""For each section and each key in lower case, what was said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something an admin has to mend: where it stands, what is wrong, and what would be right.

    `value` is masked already when it is a secret.
    """

    origin: Origin
    section: str = ""
    key: str = ""
    value: str | None = None
    wrong: str

    def __str__(self) -> str:
        parts = [f"[{self.section}]" if self.section else "", self.key]
        if self.value is not None:
            parts.append(f"= {_on_one_line(self.value)}")
        place = " ".join(part for part in parts if part)
        return f"{self.origin}: {place + ': ' if place else ''}{self.wrong}"


@dataclass(slots=True)
class Reading:
    """What a pile of files says, and what of it cannot be read."""

    layers: dict[str, dict[str, Given]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    _order: int = 0

    def lay(self, parsed: syntax.Parser, source: str) -> None:
        """Lay what a text says over what was said before."""
        lines: dict[tuple[str, str], int] = {}
        for line in parsed.unclear:
            wrong = "is neither [section] nor key = value nor a comment"
            self.mistakes.append(Mistake(origin=Origin(source, line), wrong=wrong))
        for entry in parsed.entries:
            name = (entry.section, entry.key.lower())
            if name in lines:
                self._note_repetition(entry, source, lines[name])
            lines[name] = entry.line
            self._order += 1
            given = Given(entry.key, entry.value, Origin(source, entry.line), self._order)
            self.layers.setdefault(entry.section, {})[entry.key.lower()] = given

    def _note_repetition(self, entry: syntax.Entry, source: str, line: int) -> None:
        mistake = Mistake(
            origin=Origin(source, entry.line),
            section=entry.section,
            key=entry.key,
            wrong=f"is given in line {line} of this file already; keep one of them",
        )
        self.mistakes.append(mistake)


def read(paths: Iterable[Path]) -> Reading:
    """Read those of the files that exist, each over the ones before it; mistakes are collected.

    A file in a folder that may not be entered is taken for missing, as ConfigParser does.
    """
    reading = Reading()
    for path in paths:
        if exists(path):
            reading.files.append(path)
            _read_file(path, reading)
    return reading


def exists(path: Path) -> bool:
    """Whether something of that name can be seen, if only a link that leads nowhere."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _read_file(path: Path, reading: Reading) -> None:
    try:
        text = _text_of(path)
    except OSError as wrong:
        because = f"cannot be read ({wrong.strerror}); mend or remove it"
        reading.mistakes.append(Mistake(origin=Origin(str(path)), wrong=because))
    except UnicodeDecodeError:
        reading.mistakes.append(Mistake(origin=Origin(str(path)), wrong="is no UTF-8 text"))
    else:
        reading.lay(syntax.parse(text), str(path))


def _text_of(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block, a device might never end
        raise OSError(0, "it is no ordinary file")
    return path.read_text(encoding="utf-8-sig")


def _on_one_line(value: str) -> str:
    shown = "".join(part if part.isprintable() else ascii(part)[1:-1] for part in value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
