"""What every form and every call looks like, in a line each, to notice when one changes.

PYTHONPATH=src:tests python -m wire.fingerprints      writes tests/wire/fingerprints.json anew
"""

import hashlib
import json
from pathlib import Path

import msgspec

from tashi.wire import methods, versions
from tashi.wire.methods import Method, Row
from tashi.wire.pages import all_forms, type_name
from tashi.wire.versions import Interface

KEPT = Path(__file__).with_name("fingerprints.json")


def present() -> dict[str, str]:
    """Name: the version in which it got its present shape, as far as is kept, and a digest."""
    kept = read()
    manager = versions.CLUSTER_MANAGER
    found = {
        f"form {form.__name__}": _stamp(manager, _shape(form), kept.get(f"form {form.__name__}"))
        for form in all_forms()
    }
    for interface, rows in (
        (manager, methods.CLUSTER_MANAGER),
        (versions.NODE_MANAGER, methods.NODE_MANAGER),
    ):
        found.update(_calls(interface, rows, kept))
    return found


def read() -> dict[str, str]:
    """What is kept."""
    kept: dict[str, str] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return kept


def write() -> None:
    """Keep what is present."""
    KEPT.write_text(json.dumps(present(), indent=1) + "\n")


def _calls(interface: Interface, rows: Row, kept: dict[str, str]) -> dict[str, str]:
    names = {name: f"call of {interface.name}: {name}" for name in rows}
    return {
        names[name]: _stamp(interface, _call(row), kept.get(names[name]))
        for name, row in rows.items()
    }


def _stamp(interface: Interface, shape: str, kept: str | None) -> str:
    digest = hashlib.sha256(shape.encode()).hexdigest()[:16]
    if kept is not None and kept.endswith(f"-{digest}"):
        return kept
    return f"{interface.version}-{digest}"


def _call(row: Method) -> str:
    timing = f"{row.who.name} {row.within.name} {row.repeatable}"
    return f"({_shape(row.takes)}) -> {type_name(row.gives)} {timing}"


def _shape(form: type[msgspec.Struct]) -> str:
    return "; ".join(
        f"{one.encode_name}: {type_name(one.type)}" + ("" if one.required else f" = {one.default}")
        for one in msgspec.structs.fields(form)
    )


if __name__ == "__main__":
    write()
