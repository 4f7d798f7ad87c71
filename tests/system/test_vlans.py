"""The 802.1Q way of `bridges`, inside a guest whose kernel surely has it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from python_guest import PythonGuest
from system.inside_vlans import CHECKS

pytestmark = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def console(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the guest said; built and booted once."""
    found = find_spec("pyroute2")
    assert found is not None
    assert found.origin is not None
    tests = checkout / "tests"
    source = [
        (checkout / "src/tashi", "tashi"),
        (Path(found.origin).parent, "pyroute2"),
        (tests / "frames.py", "frames.py"),
        (tests / "namespaces.py", "namespaces.py"),
        (tests / "system/inside_vlans.py", "inside.py"),
    ]
    return PythonGuest(checkout).run(source, tmp_path_factory.mktemp("guest"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.__name__)
def test_with_a_kernel_that_has_8021q(check: object, console: str) -> None:
    name = getattr(check, "__name__", "").replace("_", " ")

    [said] = [line for line in console.splitlines() if f"CHECK {name}:" in line] or [console]
    assert said.endswith("ok"), said
