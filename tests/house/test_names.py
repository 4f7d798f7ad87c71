"""Modules are nouns a newcomer would guess, and say what they are for."""

import ast
from pathlib import PurePath

from house.source import Module, modules, refuse

EMPTY_WORDS = {
    *("util", "utils", "helper", "helpers", "common", "base", "misc", "stuff"),
    *("manager", "handler", "handlers", "info", "data"),
}
LEAST_WORDS = 4
LEAST_WORDS_OF_A_PACKAGE = 15


def docstring(module: Module) -> str:
    return ast.get_docstring(module.tree) or ""


def is_package_front(module: Module) -> bool:
    return module.path.endswith("/__init__.py")


def test_no_room_is_named_for_nothing() -> None:
    refuse(
        (
            f"{module.path}: {part}"
            for module in modules("src", "tests")
            for part in PurePath(module.path).with_suffix("").parts
            if part.removeprefix("test_") in EMPTY_WORDS
        ),
        "Name the room for what is in it; if no name fits, it holds more than one thing.",
    )


def test_every_module_says_what_it_is_for() -> None:
    refuse(
        (
            f"{module.path}: {docstring(module) or 'no docstring'}"
            for module in modules("src", "tests", "bench")
            if (module.text or not is_package_front(module))
            and len(docstring(module).split()) < LEAST_WORDS
        ),
        "Open the module with what this room is for, what may not enter, and the laws that hold.",
    )


def test_every_package_says_what_belongs_in_it() -> None:
    refuse(
        (
            f"{module.path}: {docstring(module) or 'no docstring'}"
            for module in modules("src")
            if is_package_front(module)
            and len(docstring(module).split()) < LEAST_WORDS_OF_A_PACKAGE
        ),
        "A package's front says in a paragraph what belongs in it.",
    )


def test_imports_are_absolute() -> None:
    refuse(
        (
            module.at(node, ast.unparse(node))
            for module in modules("src", "tests", "bench")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom) and node.level > 0
        ),
        "Import by the full name: from tashi.domain import states.",
    )


def test_every_folder_of_source_is_a_package() -> None:
    folders = {PurePath(module.path).parent for module in modules("src/tashi")}
    fronts = {PurePath(m.path).parent for m in modules("src/tashi") if is_package_front(m)}

    refuse(
        (f"{folder}/__init__.py is missing" for folder in sorted(folders - fronts)),
        "Without it the folder is invisible to the import contracts.",
    )
