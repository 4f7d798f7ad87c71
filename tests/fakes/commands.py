"""Programs that are functions: what they would say, without running anything."""

from collections.abc import Callable, Sequence

from tashi.domain.errors import CommandFailed
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

_LONG = 86_400.0
Program = Callable[[Sequence[str], float], str]


class ScriptedCommands:
    """Keeps the port `Commands` for the programs it is given; `ran` remembers what was run."""

    def __init__(self, **programs: Program) -> None:
        self._programs = {name.replace("_", "-"): program for name, program in programs.items()}
        self.ran: list[tuple[str, ...]] = []

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        return self._find(arguments)(arguments, timeout_seconds)

    def follow(
        self,
        arguments: Sequence[str],
        *,
        hear: Callable[[str], None],
        leash: Leash,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        said = self._find(arguments)(arguments, _LONG)
        if leash.pulled:
            raise CommandFailed(f"{arguments[0]} was killed by signal 9: it said nothing")
        hear(said)
        return said

    def spawn(self, arguments: Sequence[str], *, log: str, inherited: Sequence[int] = ()) -> int:
        self._find(arguments)
        return len(self.ran)

    def _find(self, arguments: Sequence[str]) -> Program:
        self.ran.append(tuple(arguments))
        program = self._programs.get(arguments[0])
        if program is None:
            raise CommandFailed(f"{arguments[0]} cannot be run: there is no {arguments[0]}.")
        return program


def says(text: str) -> Program:
    """A program that says that and ends well."""
    return lambda _arguments, _seconds: text


def fails(words: str) -> Program:
    """A program that complains and ends badly."""

    def program(arguments: Sequence[str], _: float) -> str:
        raise CommandFailed(f"{arguments[0]} ended with exit code 3: {words}", exit_code=3)

    return program


def hangs(arguments: Sequence[str], seconds: float) -> str:
    """A program that is killed when its time is up."""
    raise CommandFailed(f"{arguments[0]} had not ended after {seconds:g} s and was killed.")
