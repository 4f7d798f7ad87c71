"""What a command is: one row, and what it is given to work with.

From the rows come the parser, help, examples, columns and completion; nothing else lists commands.
A command shows its result through the session's terminal and lets errors pass: how they are said,
and with which exit code, is for `run` to know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tashi.client.arguments import Argument, Given
from tashi.client.cluster import Cluster
from tashi.client.person import Person
from tashi.client.tables import Sheet
from tashi.client.terminal import Terminal
from tashi.client.waiting import Clock

OUTPUTS: Final = ("table", "json")
"""The forms in which every command's result can be had."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with; `clock` only goes forward, `local_time` says a time to people."""

    cluster: Cluster
    terminal: Terminal
    clock: Clock
    local_time: Callable[[float], str]
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One function of a client; `run` does it and shows the result, or raises a TashiError.

    `outputs` are the forms in which its result can be had.
    """

    name: str
    run: Callable[[Session, Given], None]
    help: str
    takes: tuple[Argument[object], ...] = ()
    examples: tuple[str, ...] = ()
    sheet: Sheet | None = None
    outputs: tuple[str, ...] = OUTPUTS
