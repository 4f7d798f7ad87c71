"""Where a client writes: results to one stream, progress and complaints to the other.

People get tables and sentences; with `json`, scripts get one JSON value a result (one a line where
results keep coming), and errors and warnings as JSON too; with `csv` tables are comma-separated
values. Progress is drawn only for people who are looking.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TextIO

import msgspec

from tashi.client import tables
from tashi.client.tables import Json, Row, Sheet, Wish
from tashi.domain.errors import Refused
from tashi.wire.glimpses import ProgressForm

Note = Callable[[str, int], None]
"""Says what is going on, and how many of the things to do are done."""

Shows = Callable[[ProgressForm], None]
"""Shows how far a move or a save is."""

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
)
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_KEPT: Final = "\n\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The streams of one run; a width of None means that nobody is looking at that stream.

    `keys` is where somebody types, None when nobody is there to be asked; `hidden` asks for
    something that is not shown while it is typed.
    """

    out: TextIO
    err: TextIO
    out_width: int | None = None
    err_width: int | None = None
    keys: TextIO | None = None
    hidden: Callable[[str], str] | None = None
    json: bool = False
    csv: bool = False
    wishes: Sequence[Wish] = ()

    def show(self, sheet: Sheet, rows: Sequence[Row]) -> None:
        """Show things of one kind as a table."""
        if self.json:
            self._write_json(list(rows))
            return
        if self.csv:
            self._write_csv(sheet, rows)
            return
        columns = sheet.seen(self.wishes)
        if self.out_width is not None and not tables.has_room(columns, self.out_width):
            lines = tables.blocks(columns, rows, self.out_width)
            self.out.writelines(f"{line}\n" for line in lines)
            return
        header, *lines = tables.lines(columns, rows, self.out_width) or [""]
        if self.out_width is not None:
            header = f"{_BOLD}{header}{_PLAIN}"
        self.out.writelines(f"{line}\n" for line in (header, *lines))

    def show_one(self, sheet: Sheet, row: Row) -> None:
        """Show one thing: a table of one row, or one JSON object."""
        if self.json:
            self._write_json(row)
        else:
            self.show(sheet, [row])

    def say(self, words: str, about: Json) -> None:
        """Say something to people; scripts get what it is about."""
        if self.json:
            self._write_json(about)
        else:
            self.out.writelines(f"{tables.harmless(line)}\n" for line in words.splitlines())

    def go_on(self, line: str, about: Json) -> None:
        """Add one line to what keeps coming, at once."""
        if self.json:
            self.out.write(f"{msgspec.json.encode(about).decode()}\n")
        else:
            self.out.write(f"{tables.harmless(line)}\n")
        self.out.flush()

    def pour(self, text: str) -> None:
        """Pass a guest's console on: as it is to a file, without its escape sequences to people."""
        if self.out_width is not None:
            text = _ESCAPES.sub("", text).replace("\r\n", "\n")
            text = "".join(one for one in text if one.isprintable() or one in _KEPT)
        self.out.write(text)
        self.out.flush()

    def confirm(self, warning: str, question: str) -> None:
        """Ask whether to go on; raises Refused unless somebody is there and says yes."""
        if self.keys is None or self.json:
            raise Refused(f"{warning} Then say --yes.")
        self.err.write(f"{tables.harmless(warning)}\n{tables.harmless(question)} [y/N] ")
        self.err.flush()
        if self.keys.readline().strip().lower() not in {"y", "yes"}:
            raise Refused("Nothing was done.")

    @contextmanager
    def progress(self, total: int) -> Iterator[Note]:
        """Draw how far something is, out of `total`, for as long as it takes."""
        if self.err_width is None or self.json:
            yield lambda _words, _done: None
            return
        from rich import console, progress, text  # noqa: PLC0415  only who looks waits for it

        screen = console.Console(file=self.err, width=self.err_width, force_terminal=True)
        parts = [progress.SpinnerColumn(), progress.TextColumn("{task.description}")]
        if total > 1:
            parts += [progress.BarColumn(), progress.MofNCompleteColumn()]
        with progress.Progress(*parts, console=screen, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda words, done: bar.update(
                task, description=text.Text(tables.harmless(words)).markup, completed=done
            )

    @contextmanager
    def busy(self, words: str) -> Iterator[None]:
        """Draw that something is under way, of which nobody can say how far it is."""
        with self.progress(1) as note:
            note(words, 0)
            yield

    @contextmanager
    def crossing(self) -> Iterator[tuple[Note, Shows | None]]:
        """Draw what is going on with one thing and, once something crosses, how far that is.

        Nobody is given to show that to where nobody is looking.
        """
        if self.err_width is None or self.json:
            yield (lambda _words, _done: None), None
            return
        from rich import console, progress, text  # noqa: PLC0415  only who looks waits for it

        screen = console.Console(file=self.err, width=self.err_width, force_terminal=True)
        parts = (
            progress.SpinnerColumn(),
            progress.BarColumn(bar_width=20),
            progress.DownloadColumn(binary_units=True),
            progress.TextColumn("{task.description}"),
        )

        def plain(words: str) -> str:
            return text.Text(tables.harmless(words)).markup

        with progress.Progress(*parts, console=screen, transient=True) as bar:
            task = bar.add_task("", total=None)

            def shows(one: ProgressForm) -> None:
                words = plain(f"{tables.as_rate(one.rate)}, {one.words}")
                bar.update(
                    task, description=words, completed=one.done, total=one.total, refresh=True
                )

            yield (lambda words, _done: bar.update(task, description=plain(words))), shows

    @contextmanager
    def transfer(self, words: str) -> Iterator[Callable[[int, int], None]]:
        """Draw how many bytes are done of how many, and how fast that goes."""
        if self.err_width is None or self.json:
            yield lambda _done, _total: None
            return
        from rich import console, progress, text  # noqa: PLC0415  only who looks waits for it

        screen = console.Console(file=self.err, width=self.err_width, force_terminal=True)
        parts = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*parts, console=screen, transient=True) as bar:
            task = bar.add_task(text.Text(tables.harmless(words)).markup, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def add(self, words: str) -> None:
        """Say something beside the result, to people and only to them."""
        if not self.json:
            self.err.write(f"{tables.harmless(words)}\n")
            self.err.flush()

    def warn(self, words: str) -> None:
        """Say what the result lacks: a script has to hear of it as well, beside the result."""
        if self.json:
            self.err.write(f"{msgspec.json.encode({'warning': words}).decode()}\n")
            self.err.flush()
        else:
            self.add(words)

    def _write_json(self, value: Json) -> None:
        encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
        self.out.write(f"{encoded.decode()}\n")

    def _write_csv(self, sheet: Sheet, rows: Sequence[Row]) -> None:
        columns = sheet.seen(self.wishes)
        written = csv.writer(self.out, lineterminator="\n")
        written.writerow(column.name for column in columns)
        # To a file it goes as it is, to whoever looks nothing goes that a terminal would obey.
        shown = str if self.out_width is None else tables.harmless
        written.writerows([_cell(column.value(row), shown) for column in columns] for row in rows)


def _cell(value: Json, shown: Callable[[str], str]) -> Json:
    return shown(value) if isinstance(value, str) else value
