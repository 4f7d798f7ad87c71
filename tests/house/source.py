"""The project's own source, parsed once, for the house tests to look at.

A rule is a function from a module (or a node of its syntax tree) to findings; a finding is
`path:line: what is wrong`. Each test ends with `refuse(findings, remedy)`, so that a failure says
where to look and what to do.
"""

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file of the project; `path` is relative to the checkout."""

    path: str
    text: str
    tree: ast.Module

    @property
    def dotted(self) -> str:
        """`tashi.domain.states` for `src/tashi/domain/states.py`; the path for other files."""
        name = self.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
        return name.replace("/", ".")

    def is_in(self, *rooms: str) -> bool:
        """Whether it is one of these dotted names or below one."""
        return any(self.dotted == room or self.dotted.startswith(f"{room}.") for room in rooms)

    def at(self, node: ast.AST, words: str) -> str:
        """A finding at a node."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {words}"


@cache
def tracked_files() -> tuple[str, ...]:
    """Every file that git knows or would add, relative to the checkout."""
    listed = subprocess.run(
        [
            *("git", "-c", f"safe.directory={TOP}", "ls-files", "-z"),
            *("--cached", "--others", "--exclude-standard"),
        ],
        cwd=TOP,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (TOP / name).is_file()))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files below these folders, parsed."""
    return tuple(
        _parse(name)
        for name in tracked_files()
        if name.endswith(".py") and name.startswith(tuple(f"{folder}/" for folder in folders))
    )


@cache
def _parse(name: str) -> Module:
    text = (TOP / name).read_text()
    return Module(name, text, ast.parse(text, name))


def calls(module: Module, matches: Callable[[str], bool]) -> Iterator[tuple[ast.Call, str]]:
    """Every call whose full name matches, such as `time.time`, however it was imported."""
    known = _imported_names(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            name = known.get(first, first) + dot + rest
            if matches(name):
                yield node, name


def _imported_names(module: Module) -> dict[str, str]:
    names = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
    return names


def refuse(findings: Iterable[str], remedy: str) -> None:
    """Fail with the findings, if there are any, and with what to do about them."""
    found = list(findings)
    assert not found, "\n".join([*found, "", remedy])
