"""VLANs by 802.1Q, in guests whose kernel has it: by `bridges`, and by networkd."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from python_guest import PythonGuest
from system import inside_networkd, inside_vlans

pytestmark = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]

Console = Callable[[str], str]


@pytest.fixture(scope="module")
def console(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """What a guest says that runs that program; each is built and booted once."""
    found = find_spec("pyroute2")
    assert found is not None
    assert found.origin is not None
    tests = checkout / "tests"
    source = [
        (checkout / "src/tashi", "tashi"),
        (checkout / "doc/operations.md", "operations.md"),
        (Path(found.origin).parent, "pyroute2"),
        (tests / "frames.py", "frames.py"),
        (tests / "namespaces.py", "namespaces.py"),
    ]

    @cache
    def said(program: str) -> str:
        inside = (Path(program), "inside.py")
        return PythonGuest(checkout).run([*source, inside], tmp_path_factory.mktemp("guest"))

    return said


@pytest.mark.parametrize(
    ("program", "check"),
    [
        pytest.param(inside.__file__, check, id=check.__name__)
        for inside in (inside_vlans, inside_networkd)
        for check in inside.CHECKS
    ],
)
def test_with_a_kernel_that_has_8021q(program: str, check: object, console: Console) -> None:
    name = getattr(check, "__name__", "").replace("_", " ")
    whole = console(program)

    [said] = [line for line in whole.splitlines() if f"CHECK {name}:" in line] or [whole]
    assert said.endswith("ok"), said
