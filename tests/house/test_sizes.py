"""Rooms and functions stay small enough to be read in one go."""

import ast
from collections.abc import Iterator

from house import exceptions
from house.source import Module, modules, refuse

LINES_IN_A_FILE = 400
LINES_IN_A_FUNCTION = 60
PARAMETERS = 6

ALL = modules("src", "tests", "bench")


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([each for each in named if each.arg not in {"self", "cls"}])


def long_files() -> dict[str, int]:
    sizes = {module.path: module.text.count("\n") for module in ALL}
    return {path: lines for path, lines in sizes.items() if lines > LINES_IN_A_FILE}


def long_functions() -> dict[str, int]:
    return {
        f"{module.path}:{node.name}": lines_of(node)
        for module in ALL
        for node in functions(module)
        if lines_of(node) > LINES_IN_A_FUNCTION
    }


def functions_with_many_parameters() -> dict[str, int]:
    return {
        f"{module.path}:{node.name}": parameters_of(node)
        for module in modules("src", "bench")
        for node in functions(module)
        if parameters_of(node) > PARAMETERS
    }


def beyond(found: dict[str, int], allowed: dict[str, int]) -> list[str]:
    return [f"{name}: {size}" for name, size in found.items() if size > allowed.get(name, 0)]


def test_no_file_is_longer_than_its_reader_can_hold() -> None:
    refuse(
        beyond(long_files(), exceptions.LONG_FILES),
        f"A file has at most {LINES_IN_A_FILE} lines: divide it by what its parts are for.",
    )


def test_no_function_is_longer_than_a_page() -> None:
    refuse(
        beyond(long_functions(), exceptions.LONG_FUNCTIONS),
        f"A function has at most {LINES_IN_A_FUNCTION} lines: name its steps.",
    )


def test_no_function_takes_more_than_a_handful_of_parameters() -> None:
    refuse(
        beyond(functions_with_many_parameters(), exceptions.MANY_PARAMETERS),
        f"A function takes at most {PARAMETERS} parameters: which of them belong together?",
    )


def test_exceptions_are_needed() -> None:
    kept = [
        (exceptions.LONG_FILES, long_files()),
        (exceptions.LONG_FUNCTIONS, long_functions()),
        (exceptions.MANY_PARAMETERS, functions_with_many_parameters()),
    ]

    spare = [name for allowed, found in kept for name in allowed if name not in found]

    refuse(spare, "These keep the rule now: remove them from tests/house/exceptions.py.")
