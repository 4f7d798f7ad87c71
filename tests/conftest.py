"""What holds for every test: nothing left behind, the same examples in CI, no skips there."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from contracts.machines import found_verdict
from databases import Server, galera
from leaks import Belongings, left_since
from libvirtds import Libvirtd

IN_CI = bool(os.environ.get("CI"))

settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile(
    "ci",
    max_examples=150,
    deadline=None,
    derandomize=True,  # the same examples in every run
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "quick"))


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open descriptor."""
    before = Belongings.now()

    yield

    left = left_since(before)
    if left:
        pytest.fail(
            f"{request.node.nodeid} left behind: {'; '.join(left)}. Close, join or wait for it "
            "in the test or in the fixture that made it.",
            pytrace=False,
        )


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs started now can be interrupted, also where the tests themselves cannot."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew on purpose, and choose how much is tried."""
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")
    parser.addoption(
        "--stores",
        choices=("some", "all"),
        default="some",
        help="run clusters with every kind of store, or only those that are to be (some)",
    )
    parser.addoption(
        "--faults",
        choices=("some", "all"),
        default="some",
        help="strike hosts with libvirt at every moment with everything, or only with a choice",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in golden/ beside the test."""
    folder = request.path.parent / "golden"

    def compare(name: str, text: str) -> None:
        file = folder / name
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            file.write_text(text)
        kept = file.read_text() if file.exists() else "(there is no such file yet)"
        assert text == kept, f"{file} says otherwise: is it right? Then pytest --update-golden."

    return compare


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What QEMU can do on this machine: a file for the folders of those that would probe it."""
    return found_verdict(tmp_path_factory.mktemp("verdict"))


@pytest.fixture(scope="session", autouse=True)
def libvirts_loop(request: pytest.FixtureRequest) -> None:
    """What libvirt's library opens once for good is there before the first test that needs it."""
    if any(item.get_closest_marker("libvirt") for item in request.session.items):
        from contracts.libvirt_machines import know_the_loop  # noqa: PLC0415  needs make compiled

        know_the_loop()


@pytest.fixture(scope="session")
def libvirtds() -> Iterator[Sequence[Libvirtd]]:
    """Those of a machine and of its neighbour."""
    with tempfile.TemporaryDirectory(prefix="tashi-lv") as folder:
        daemons = [Libvirtd(Path(folder) / name, name) for name in ("here", "there")]
        try:
            for daemon in daemons:
                daemon.start()
            yield daemons
        finally:
            for daemon in daemons:
                daemon.stop()


@pytest.fixture(scope="session")
def mariadb_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that was never started, to be copied."""
    server = Server(tmp_path_factory.mktemp("template"))
    server.install()
    return server.data


@pytest.fixture(scope="session")
def mariadb(mariadb_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A private MariaDB that all tests share; each takes a database of its own."""
    server = Server(tmp_path_factory.mktemp("m"))
    server.install(mariadb_template)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def galera_nodes(mariadb_template: Path) -> Iterator[Sequence[Server]]:
    """The servers of a Galera cluster that all tests share."""
    with galera(mariadb_template) as nodes:
        yield nodes


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=[pytest.mark.system, pytest.mark.timeout(300)])
        for name in ("mariadb", "galera_nodes")
    ],
)
def servers(request: pytest.FixtureRequest) -> Sequence[Server]:
    """One MariaDB, or those of a Galera cluster: each of two cluster managers asks another."""
    found: Server | Sequence[Server] = request.getfixturevalue(request.param)
    return [found] if isinstance(found, Server) else found


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top folder of this checkout."""
    return Path(__file__).resolve().parent.parent


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped: what a test needs is installed, or the run fails and says so."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and IN_CI and skipped:
        reporter.write_line(
            f"{len(skipped)} tests were skipped; in CI that is a failure.", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
