"""Real processes: more time per test, and the demo guest's disk image."""

import subprocess
from pathlib import Path

import pytest

from system.counting import TABLES

SECONDS_PER_TEST = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, so that nobody has to remember it."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("system")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SECONDS_PER_TEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests have made."""
    for table in terminalreporter.config.stash.get(TABLES, []):
        terminalreporter.write_line(f"\n{table}")


@pytest.fixture(scope="session")
def guest_image(checkout: Path) -> Path:
    """The demo guest's disk, built if it is not there; treat it as read-only."""
    image = checkout / "build/guest/tashi-guest.qcow2"
    made = subprocess.run(
        ["make", "--no-print-directory", "guest"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.fail(f"The demo guest cannot be built (make guest):\n{made.stdout}", pytrace=False)
    return image


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name leaves room for sockets in it (unix(7): 108 bytes)."""
    return tmp_path_factory.mktemp("s")
