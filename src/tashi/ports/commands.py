"""Running a program and hearing how it ended, or starting one that goes on by itself."""

from collections.abc import Callable, Sequence
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


class Leash:
    """What a program hangs on that another thread may want to end; may be pulled once, at any time.

    Whatever is attached ends when it is pulled, also what is attached afterwards. Pulling and
    attaching may meet: then the act is called by one of the two or by both, so it must not mind.
    """

    def __init__(self) -> None:
        self._acts: list[Callable[[], None]] = []
        self._pulled = False

    @property
    def pulled(self) -> bool:
        """Whether it was pulled."""
        return self._pulled

    def attach(self, act: Callable[[], None]) -> None:
        """Call `act` when the leash is pulled, at once if it has been."""
        self._acts.append(act)
        if self._pulled:
            act()

    def detach(self, act: Callable[[], None]) -> None:
        """Leave `act` alone from now on; what it would end has ended."""
        self._acts.remove(act)

    def pull(self) -> None:
        """End all that is attached."""
        self._pulled = True
        for act in tuple(self._acts):
            act()


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
        it ended badly, which is then about its `exit_code`, could not be started, or had to be
        killed because the time was up or its words were more than anybody wants to keep.
        """
        ...

    def follow(
        self,
        arguments: Sequence[str],
        *,
        hear: Callable[[str], None],
        leash: Leash,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        """What the program wrote, both streams in one, once it has ended well; it may take long.

        With a `sink` that is what it complained of.

        `hear` is given its words as they come, in pieces of any length; what it raises ends the
        program and is raised here. Raises CommandFailed as `run` does, and when the leash was
        pulled, which kills the program.
        """
        ...

    def spawn(self, arguments: Sequence[str], *, log: str, inherited: Sequence[int] = ()) -> int:
        """Start a program that goes on by itself, whatever becomes of us; its process id.

        It has a session of its own, its words replace the file `log`, and it keeps the open files
        `inherited` under their numbers. While we live we are its parent, and owe it a wait. Raises
        CommandFailed when it could not be started.
        """
        ...
