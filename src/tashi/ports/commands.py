"""Running a program and hearing how it ended, or starting one that goes on by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """Open files that become a program's standard input and output; their owner closes them.

    Without a `source` it has nothing to read, without a `sink` its words are given to the caller.
    """

    source: int | None = None
    sink: int | None = None


NO_DESCRIPTORS: Final = Descriptors()


class Commands(Protocol):
    """Runs other programs: argument lists only, never a shell."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        """What the program wrote to standard output, once it has ended well.

        With a `sink` that is nothing. Raises CommandFailed, with the program's own last words, when
        it ended badly, could not be started, or had to be killed because the time was up.
        """
        ...

    def spawn(self, arguments: Sequence[str], *, log: str, inherited: Sequence[int] = ()) -> int:
        """Start a program that goes on by itself, whatever becomes of us; its process id.

        It has a session of its own, its words replace the file `log`, and it keeps the open files
        `inherited` under their numbers. While we live we are its parent, and owe it a wait. Raises
        CommandFailed when it could not be started.
        """
        ...
