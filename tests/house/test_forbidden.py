"""What no code of ours does, whatever the reason."""

import ast
from collections.abc import Iterator

from house.source import Module, calls, modules, refuse

SOURCE = modules("src")
EVERYTHING = modules("src", "tests", "bench")


def imported(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every module that is imported, with the statement that does it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def test_no_data_is_ever_run() -> None:
    refuse(
        (
            module.at(call, f"{name}()")
            for module in EVERYTHING
            for call, name in calls(module, {"eval", "exec", "compile", "__import__"}.__contains__)
        ),
        "Read data with a parser (ast.literal_eval, msgspec); name implementations in a table.",
    )


def test_no_pickles() -> None:
    refuse(
        (
            module.at(node, name)
            for module in EVERYTHING
            for node, name in imported(module)
            if name.split(".")[0] in {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
        ),
        "Whoever can write a pickle runs code in the reader: use msgspec and a declared form.",
    )


def test_no_shell_between_us_and_a_program() -> None:
    refuse(
        [
            module.at(keyword.value, "shell=True")
            for module in EVERYTHING
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "shell" and ast.unparse(keyword.value) != "False"
        ]
        + [
            module.at(call, f"{name}()")
            for module in EVERYTHING
            for call, name in calls(module, {"os.system", "os.popen"}.__contains__)
        ],
        "Give programs a list of arguments; a name with a `;` in it must stay a name.",
    )


def test_no_error_vanishes() -> None:
    refuse(
        (
            module.at(node, "bare except")
            for module in EVERYTHING
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ExceptHandler) and node.type is None
        ),
        "Catch the errors you know what to do about; the loop in programs catches the rest.",
    )


_OF_THE_SYSTEM = {
    *("OSError", "FileNotFoundError", "PermissionError", "FileExistsError", "BlockingIOError"),
    *("ConnectionError", "NotADirectoryError", "IsADirectoryError"),
}


def _said_raw(handler: ast.ExceptHandler) -> Iterator[ast.FormattedValue]:
    """Where the error that it catches stands in a sentence, if it may be the system's."""
    names = [node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)]
    if handler.type is None or _OF_THE_SYSTEM.isdisjoint(names):
        return
    for node in ast.walk(handler):
        if isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == handler.name:
            yield node


def test_what_the_operating_system_says_is_said_in_its_words_and_not_in_pythons() -> None:
    refuse(
        (
            module.at(value, "an OSError in a sentence, as in '[Errno 2] …'")
            for module in SOURCE
            for handler in ast.walk(module.tree)
            if isinstance(handler, ast.ExceptHandler)
            for value in _said_raw(handler)
        ),
        "Say its strerror; where other errors are caught beside it, say which it is.",
    )


def test_only_the_front_doors_print() -> None:
    doors = ("tashi.client", "tashi.programs")
    rooms = ("settings.pages", "domain.pages", "domain.metricpage", "wire.pages")
    pages = tuple(f"tashi.{room}" for room in rooms)

    refuse(
        (
            module.at(call, "print()")
            for module in SOURCE
            if not module.is_in(*doors, *pages)
            for call, _ in calls(module, "print".__eq__)
        ),
        "Only the client, the programs and the generators of pages print; daemons log.",
    )


def test_rules_and_use_cases_are_given_the_time() -> None:
    clocks = {
        *("time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.localtime"),
        *("datetime.date.today", "datetime.datetime.today"),
    }

    refuse(
        (
            module.at(call, f"{name}()")
            for module in SOURCE
            if not module.is_in("tashi.adapters", "tashi.supervisor", "tashi.programs")
            for call, name in calls(module, clocks.__contains__)
        ),
        "Take the time as an argument, or a Clock as a constructor's.",
    )


def test_the_date_is_read_in_one_room() -> None:
    dates = {
        *("time.time", "time.time_ns"),
        *("datetime.datetime.now", "datetime.datetime.utcnow"),
    }

    refuse(
        (
            module.at(call, f"{name}()")
            for module in SOURCE
            if not module.is_in("tashi.adapters.system")
            for call, name in calls(module, dates.__contains__)
        ),
        "Durations are monotonic; a date for people comes from the clock in adapters/system.",
    )


def test_nothing_sleeps_but_what_talks_to_real_processes() -> None:
    refuse(
        (
            module.at(call, f"{name}()")
            for module in EVERYTHING
            if not module.path.startswith(("tests/system/", "bench/"))
            for call, name in calls(module, "time.sleep".__eq__)
        ),
        "Wait for the thing itself: an event, a queue with a time-out, a file descriptor.",
    )


def test_no_mocks() -> None:
    refuse(
        (
            module.at(node, name)
            for module in modules("tests")
            for node, name in imported(module)
            if name.startswith("unittest.mock") or name == "mock"
        ),
        "Write a fake that keeps the port's promises, in tests/fakes or src/tashi/adapters.",
    )


def test_nothing_is_left_open() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")

    refuse(
        (
            f"{module.path}:{number}: {line.strip()}"
            for module in EVERYTHING
            for number, line in enumerate(module.text.splitlines(), 1)
            if any(f" {word}" in line for word in words)
        ),
        "Do it now, or write it down where the work is planned.",
    )
