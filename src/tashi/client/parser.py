"""From the words of a command line to a command and what was given with it.

Parsers, help and examples are loops over the rows of commands. Names of functions are read without
regard to case. argparse cuts the words apart; what it has to complain of is said in our sentences.
"""

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from tashi.client.arguments import Argument, Given, Misused, read_all
from tashi.client.command import Command
from tashi.client.tables import Sheet, Wish

WIDTH: Final = 80
"""How wide help is where nobody says how wide it may be."""

_MISSING: Final = "the following arguments are required: "
_ALL: Final = "all"
_OUTPUTS: Final = {
    "table": "tables for people",
    "json": "JSON for scripts",
    "csv": "CSV for spreadsheets",
}


@dataclass(frozen=True, slots=True)
class Front:
    """A client by its name: what it is for, and its functions."""

    name: str
    words: str
    commands: tuple[Command, ...]

    def command(self, typed: str) -> Command:
        """The function that was named, in whatever case; Misused when there is none."""
        names = {command.name.lower(): command for command in self.commands}
        if typed.lower() in names:
            return names[typed.lower()]
        near = _nearest(typed.lower(), names)
        remedy = f"did you mean {names[near].name}?" if near else f"see {self.name} --help."
        raise Misused(f"There is no function {typed!r}: {remedy}")


@dataclass(frozen=True, slots=True)
class Line:
    """A command line that is understood."""

    command: Command
    given: Given
    wishes: tuple[Wish, ...]


class _Once(argparse.Action):
    """Keeps a value, of which there is one."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise Misused(f"{option} is given twice: say it once.")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """argparse, complaining in our words and by an exception."""

    def error(self, message: str) -> NoReturn:
        """Raise Misused with what argparse found."""
        if message.startswith(_MISSING):
            missing = message.removeprefix(_MISSING).replace(", ", " and ")
            raise Misused(f"{self.prog.split()[-1]} needs {missing}: see {self.prog} --help.")
        raise Misused(f"{message.removeprefix('argument ')}: see {self.prog} --help.")


def read_line(front: Front, words: Sequence[str]) -> Line:
    """Understand the words after the program's name; Misused says what is not understood."""
    function, rest = _split(words)
    if function is None:
        raise Misused(f"Say what to do: {front.name} --help lists the functions.")
    command = front.command(function)
    _check_known(front, command, rest)
    typed, left = command_parser(front, command).parse_known_args(rest)
    wishes = _wishes(front, command, left)
    values = vars(typed)
    texts = {
        one.name: _joined(values[one.name])
        for one in command.takes
        if values[one.name] not in (None, False)
    }
    return Line(command, read_all(command.takes, texts), wishes)


def _check_known(front: Front, command: Command, words: Iterable[str]) -> None:
    """Raise Misused for an option that there is not, before others are missed."""
    known = {f"--{argument.name}" for argument in command.takes} | {"--output", "--examples", "--"}
    for word in words:
        typed = word.partition("=")[0]
        if word.startswith("--") and typed not in known:
            wishes = wishes_about(command.sheet)
            if typed not in wishes:
                raise Misused(_unknown(front, command, word, wishes))


def named_function(words: Sequence[str]) -> str | None:
    """The function that the words name, before they are understood."""
    return _split(words)[0]


def command_parser(front: Front, command: Command, width: int = WIDTH) -> Parser:
    """The parser of one function, but for its columns; its help is laid out for `width`."""
    parser = Parser(
        prog=f"{front.name} {command.name}",
        description=command.help,
        epilog="\n".join(_epilog(front, command)),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=width),
        allow_abbrev=False,
    )
    add_arguments(parser, command)
    return parser


def add_arguments(parser: argparse.ArgumentParser, command: Command) -> None:
    """Add what a function takes, but for its columns."""
    for argument in command.takes:
        _add(parser, argument)
    *others, last = (_OUTPUTS[one] for one in command.outputs)
    words = f"{', '.join(others)}, or {last}"
    parser.add_argument("--output", action=_Once, choices=command.outputs, help=words)
    parser.add_argument("--examples", action="store_true", help="show examples and leave")


def wishes_about(sheet: Sheet | None) -> dict[str, Wish]:
    """The arguments that choose columns, and what each means."""
    if sheet is None:
        return {}
    groups = {group: group for group in sheet.groups}
    names = {column.name: column.name for column in sheet.columns} | groups | {_ALL: None}
    return {
        f"--{word}-{typed}": Wish(shown, name)
        for typed, name in names.items()
        for word, shown in (("show", True), ("hide", False))
    }


def overview(front: Front) -> str:
    """What `--help` says of the program as a whole."""
    functions = _columned([(command.name, command.help) for command in front.commands])
    return "\n".join(
        (
            f"usage: {front.name} FUNCTION [--ARGUMENT VALUE …] [--output table|json]",
            f"       {front.name} --show-settings | --version | --print-completion SHELL",
            "",
            front.words,
            "",
            "functions:",
            *functions,
            "",
            f"{front.name} FUNCTION --help says more of one, --examples shows its use.",
            "Exit codes: 0 done, 1 refused, 2 misused or misconfigured, 3 failed.",
        )
    )


def _columned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names, and beside them in a column of their own what each means."""
    widest = max(len(name) for name, _ in rows)
    return [
        textwrap.fill(
            words,
            WIDTH,
            initial_indent=f"  {name:<{widest}}  ",
            subsequent_indent=" " * (widest + 4),
        )
        for name, words in rows
    ]


def examples(front: Front, commands: Iterable[Command]) -> str:
    """The examples of some functions."""
    return "\n".join(
        f"{front.name} {command.name} {example}".rstrip()
        for command in commands
        for example in command.examples
    )


def _split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take out the function: the first word that is no option, nor the value of --output."""
    before = ""
    for place, word in enumerate(words):
        if not word.startswith("-") and before != "--output":
            return word, [*words[:place], *words[place + 1 :]]
        before = word
    return None, list(words)


def _joined(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return "yes" if value is True else str(value)


def _add(parser: argparse.ArgumentParser, argument: Argument[object]) -> None:
    words = argument.words.replace("%", "%%")
    if not argument.metavar:
        parser.add_argument(f"--{argument.name}", action="store_true", help=words)
        return
    if argument.default and "(default: " not in words:
        words += f" (default: {argument.default})"
    parser.add_argument(
        f"--{argument.name}",
        action="append" if argument.repeats else _Once,
        metavar=argument.metavar,
        required=argument.required,
        help=words,
    )


def _epilog(front: Front, command: Command) -> Iterator[str]:
    for argument in command.takes:
        yield from _choices(argument)
    if command.sheet is not None:
        seen = [column.name for column in command.sheet.columns if column.shown]
        rest = [column for column in command.sheet.columns if not column.shown]
        yield "columns, each with --show-COLUMN and --hide-COLUMN, or --show-all, --hide-all:"
        yield from _named("shown:", seen)
        yield from _named("hidden:", [column.name for column in rest if not column.group])
        for group in command.sheet.groups:
            of_it = [column.name for column in rest if column.group == group]
            yield from _named(f"--show-{group}:", of_it)
        yield ""
    yield "examples:"
    yield from (f"  {line}" for line in examples(front, [command]).splitlines())


def _choices(argument: Argument[object]) -> Iterator[str]:
    rows = tuple(argument.choices())
    if rows:
        yield f"{argument.name}:"
        yield from _columned(rows)
        yield ""


def _named(title: str, names: Sequence[str]) -> list[str]:
    return textwrap.wrap(
        " ".join(names), WIDTH - 2, initial_indent=f"  {title:<7} ", subsequent_indent=" " * 10
    )


def _wishes(front: Front, command: Command, words: Sequence[str]) -> tuple[Wish, ...]:
    """Read what argparse left over: wishes about columns, and nothing else."""
    known = wishes_about(command.sheet) if words else {}
    for word in words:
        if word not in known:
            raise Misused(_unknown(front, command, word, known))
    return tuple(known[word] for word in words)


def _unknown(front: Front, command: Command, word: str, wishes: Iterable[str]) -> str:
    if not word.startswith("-"):
        return f"{command.name} takes no {word!r}: write arguments as in --name VALUE."
    typed = word.partition("=")[0]
    near = _nearest(typed, [*wishes, *(f"--{argument.name}" for argument in command.takes)])
    remedy = f"did you mean {near}?" if near else f"see {front.name} {command.name} --help."
    return f"{command.name} takes no {typed}: {remedy}"


def _nearest(typed: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415  only mistakes wait for it

    return next(iter(get_close_matches(typed, known, n=1, cutoff=0.7)), None)
