"""The loader: from the files of one program to typed sections, or to all mistakes at once.

A daemon is strict about everything in its files, also about sections that only other programs
use: a typo must be named where it can still be mended, not where it bites. A person's client reads
its own sections only: it starts often, and a slip in a daemon's section is not its user's to mend.

Only `programs` calls this; everybody else is given a section.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tashi.domain.errors import Misconfigured
from tashi.settings import layers, search, sections
from tashi.settings.declare import describe
from tashi.settings.judge import (
    Findings,
    Said,
    is_spelt,
    judge_strangers,
    judge_what_libvirt_has_its_own_way_with,
    read_section,
)
from tashi.settings.layers import DEFAULT, Mistake, Origin
from tashi.settings.search import Program

S = TypeVar("S")


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """The configuration of one program: which files gave it, what they say, what to warn of."""

    program: Program
    said: Said
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, declared: type[S]) -> S:
        """Give a section as its record, as in `settings.of(ClientSettings).cluster_manager_port`.

        Raises Misconfigured for a section that the program does not use and that has mistakes.
        """
        found = Findings()
        record = read_section(describe(declared), self.said, found)
        _refuse(found.mistakes)
        return record

    def gives(self, section: str, key: str) -> Origin:
        """Say what gave the value of a key: a line of a file, a variable, or the default."""
        given = self.said.layers.get(section, {}).get(key.lower())
        if section in sections.CATALOGUE:
            for setting in sections.named(section).settings.values():
                if is_spelt(key, setting.key):
                    given = self.said.about(setting, section)
        return given.origin if given else DEFAULT

    def logging(self) -> dict[str, object]:
        """Give what `logging.config.dictConfig` takes; raises Misconfigured like `of`."""
        found = Findings()
        configuration = _read_logging(self.said.layers, found)
        _refuse(found.mistakes)
        return configuration


def load(program: Program, environment: Mapping[str, str]) -> Settings:
    """Read a program's files; raises Misconfigured with every mistake that is in them."""
    said, files, found = _judge(program, environment, strict=program is not Program.CLIENT)
    _refuse(found.mistakes)
    return Settings(program, said, files, tuple(found.warnings))


def check(environment: Mapping[str, str]) -> Findings:
    """Read the files of all programs strictly, and say each mistake and each warning once."""
    every = [_judge(program, environment, strict=True)[2] for program in Program]
    return Findings(
        list(dict.fromkeys(mistake for found in every for mistake in found.mistakes)),
        list(dict.fromkeys(warning for found in every for warning in found.warnings)),
    )


def _judge(
    program: Program, environment: Mapping[str, str], *, strict: bool
) -> tuple[Said, tuple[Path, ...], Findings]:
    reading = layers.read(search.files(program, environment))
    said = Said(reading.layers, environment)
    found = Findings(list(reading.mistakes), _missing_folders(environment))
    for name in sections.CATALOGUE if strict else sections.USED_BY[program]:
        read_section(sections.named(name), said, found)
    judge_strangers(said.layers, found)
    if program is Program.NODE_MANAGER:
        judge_what_libvirt_has_its_own_way_with(said, found)
    if strict:
        _read_logging(said.layers, found)
    found.mistakes.sort(key=_place_in([str(path) for path in reading.files]))
    return said, tuple(reading.files), found


def _place_in(files: Sequence[str]) -> Callable[[Mistake], tuple[int, int]]:
    """Order mistakes as an admin meets them: variables first, then file by file, line by line."""
    order = {name: number for number, name in enumerate(files)}
    return lambda mistake: (order.get(mistake.origin.source, -1), mistake.origin.line or 0)


def _missing_folders(environment: Mapping[str, str]) -> list[str]:
    variable = search.FOLDERS_VARIABLE
    if not environment.get(variable):
        return []
    missing = [folder for folder in search.folders(environment) if not layers.exists(folder)]
    return [f"{variable} names {folder}, which does not exist" for folder in missing]


def _read_logging(said: layers.Layers, found: Findings) -> dict[str, object]:
    from tashi.settings.logs import read_logging  # noqa: PLC0415  dear, and no client needs it

    return read_logging(said, found)


def _refuse(mistakes: Iterable[Mistake]) -> None:
    lines = [str(mistake) for mistake in mistakes]
    if lines:
        raise Misconfigured("The configuration needs mending.\n" + "\n".join(lines))
