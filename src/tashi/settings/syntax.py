"""The text of a configuration file, taken apart into keys and values with their line numbers.

The syntax is that of Python's ConfigParser, without interpolation (logging formats hold
%(asctime)s): `[section]`, `key = value` or `key: value`, comments on lines of their own after `#`
or `;`, and lines indented deeper than their key continue its value. ConfigParser itself forgets
the lines and gives up at the first mistake; here every line that makes no sense is reported and
the rest is still read. A property test holds that both read the same from what both accept.
"""

from dataclasses import dataclass
from typing import Final

BEFORE_SECTIONS: Final = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value; keys above the first header are in the section BEFORE_SECTIONS."""

    section: str
    key: str
    value: str
    line: int


class Parser:
    """Takes the lines of a text in their order; afterwards `entries` and `unclear` are complete.

    `unclear` are the numbers of the lines that say nothing.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.unclear: list[int] = []
        self._section = BEFORE_SECTIONS
        self._indent = 0
        self._key = ""
        self._value: list[str] = []
        self._line = 0

    def take(self, line: int, written: str) -> None:
        """Take in the next line; one that is blank or indented deeper continues a value."""
        stripped = written.strip()
        if stripped.startswith(("#", ";")):
            return
        indent = len(written) - len(written.lstrip())
        if not stripped or (self._key and indent > self._indent):
            self._value.append(stripped)
        else:
            self.finish()
            self._indent = indent
            self._begin(line, stripped)

    def finish(self) -> None:
        """Close the value that is being read, if there is one."""
        if self._key:
            value = "\n".join(self._value).rstrip()
            self.entries.append(Entry(self._section, self._key, value, self._line))
        self._key = ""

    def _begin(self, line: int, stripped: str) -> None:
        closing = stripped.rfind("]")
        if stripped.startswith("[") and closing > 1:
            self._section = stripped[1:closing]
            return
        separators = [at for at in (stripped.find("="), stripped.find(":")) if at >= 0]
        at = min(separators, default=0)
        if at > 0:
            self._key, self._line = stripped[:at].rstrip(), line
            self._value = [stripped[at + 1 :].lstrip()]
        else:
            self.unclear.append(line)


def parse(text: str) -> Parser:
    """Take a file's text apart; never raises."""
    parser = Parser()
    for line, written in enumerate(text.split("\n"), start=1):
        parser.take(line, written)
    parser.finish()
    return parser
