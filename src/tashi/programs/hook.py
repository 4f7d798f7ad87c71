"""Runs one class of an administrator's for one event: what `hook<N>` in [Primitive] names.

    python -m tashi.programs.hook FOLDER MODULE.CLASS preCreate < event.json

The module is a file in that folder and nowhere else, so no other name leads to code. The class is
made without arguments; its method of the event's name, if it has one, gets the instance as a dict.
"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tashi.domain.errors import Misconfigured
from tashi.programs.daemon import DONE, FAILED, MISUSED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the class; returns the exit code."""
    match list(sys.argv[1:] if argv is None else argv):
        case [folder, name, "preCreate" | "postDestroy" as event]:
            pass
        case _:
            print("hook: give a folder, MODULE.CLASS and an event.", file=sys.stderr)
            return MISUSED
    try:
        made = load_class(Path(folder), name)()
        told = json.load(sys.stdin)
        method = getattr(made, event, None)
        if method is not None:
            method(told["instance"])
    except Misconfigured as wrong:
        print(wrong.message, file=sys.stderr)
        return MISUSED
    except Exception as error:  # noqa: BLE001  # an administrator's own code may raise anything
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    return DONE


def load_class(folder: Path, name: str) -> type:
    """The class of that dotted name from a file in that folder; raises Misconfigured."""
    module_name, _, class_name = name.rpartition(".")
    path = folder.joinpath(*module_name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Misconfigured(f"{name} is not there: hookPath has no file {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    # Dataclasses look for their module there; one that Python has under that name stays.
    sys.modules.setdefault(module_name, module)
    spec.loader.exec_module(module)
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise Misconfigured(f"{path} has no class {class_name}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
