"""Real processes: more time per test, and the demo guest's disk image."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import boot_sectors
from contracts.machines import Heard, QemuMachine
from system.blows import StepwiseHosts, stepwise_hosts
from system.books import Place, in_a_file, in_mariadb, in_sqlite
from system.counting import TABLES
from system.libvirt_blows import StepwiseLibvirtHosts
from system.libvirt_sites import LibvirtSite
from system.sites import LIBVIRT, QEMU, Shape
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu

SECONDS_PER_TEST = 300


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is in this folder, so that nobody has to remember it.

    Where libvirt runs the guests the books are in a file: which store it is, libvirt cannot see.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("system")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SECONDS_PER_TEST))
    some = config.getoption("--faults") == "some"
    needless = [
        item
        for item in items
        if _has_libvirt_and_a_database(item) or (some and item.get_closest_marker("every_fault"))
    ]
    config.hook.pytest_deselected(items=needless)
    items[:] = [item for item in items if item not in needless]


def _has_libvirt_and_a_database(item: pytest.Item) -> bool:
    called = item.callspec.params if hasattr(item, "callspec") else {}
    return called.get("vmm") == LIBVIRT and called.get("books") in {"sqlite", "mariadb"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests have made."""
    for table in terminalreporter.config.stash.get(TABLES, []):
        terminalreporter.write_line(f"\n{table}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each scenario with a site the kinds of store to run on."""
    if "books" not in metafunc.fixturenames:
        return
    marked = any(mark.name == "every_store" for mark in metafunc.definition.iter_markers())
    every = marked or metafunc.config.getoption("--stores") == "all"
    kinds = ("file", "sqlite", "mariadb") if every else ("file",)
    metafunc.parametrize("books", kinds, indirect=True)


@pytest.fixture(scope="session")
def books(request: pytest.FixtureRequest) -> Place:
    """Where the sites of a test keep their books."""
    if request.param == "mariadb":
        return in_mariadb(request.getfixturevalue("mariadb"))
    return {"file": in_a_file, "sqlite": in_sqlite}[request.param]


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
def machine(verdict: Path) -> Iterator[QemuMachine]:
    """A host of its own for guests under a real QEMU."""
    made = QemuMachine.made(verdict)
    yield made
    made.close()


@pytest.fixture
def here(verdict: Path) -> Iterator[QemuMachine]:
    """A host for guests under a real QEMU, with a neighbour."""
    with closing(QemuMachine.made(verdict)) as made:
        yield made


@pytest.fixture
def there(here: QemuMachine) -> Iterator[QemuMachine]:
    """That neighbour."""
    with closing(here.neighbour()) as made:
        yield made


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name leaves room for sockets in it (unix(7): 108 bytes)."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture(scope="session")
def vmm() -> str:
    """What runs the guests; EITHER parametrises it."""
    return QEMU


@pytest.fixture(scope="session")
def one_shared(vmm: str, request: pytest.FixtureRequest) -> LibvirtSite | None:
    """`one_by_libvirt`, if libvirt runs the guests."""
    return request.getfixturevalue("one_by_libvirt") if vmm == LIBVIRT else None


@pytest.fixture(scope="session")
def two_shared(vmm: str, request: pytest.FixtureRequest) -> LibvirtSite | None:
    """`two_by_libvirt`, if libvirt runs the guests."""
    return request.getfixturevalue("two_by_libvirt") if vmm == LIBVIRT else None


@pytest.fixture(scope="session")
def one_by_libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibvirtSite]:
    """A site whose host runs guests through libvirt; to be taken by one test at a time."""
    yield from _by_libvirt(tmp_path_factory.mktemp("s"), Shape(memory=2000, cores=40))


@pytest.fixture(scope="session")
def two_by_libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibvirtSite]:
    """One with two hosts, which are given up when they have been silent for a moment."""
    shape = Shape(
        memory=2000,
        hosts=2,
        extra={
            "ClusterManagerService": {"expireHostTime": 8, "allowDecayed": 4},
            "UserNetwork": {"forward": 80},
        },
    )
    yield from _by_libvirt(tmp_path_factory.mktemp("s"), shape)


@pytest.fixture(scope="session")
def stepwise_by_libvirt(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StepwiseLibvirtHosts]:
    """Two hosts of a fault matrix; to be taken by one test at a time."""
    with stepwise_hosts(StepwiseLibvirtHosts, tmp_path_factory.mktemp("s")) as site:
        yield site


@pytest.fixture(scope="session")
def stepwise_shared(vmm: str, request: pytest.FixtureRequest) -> StepwiseLibvirtHosts | None:
    """`stepwise_by_libvirt`, if libvirt runs the guests."""
    return request.getfixturevalue("stepwise_by_libvirt") if vmm == LIBVIRT else None


@pytest.fixture
def stepwise(
    stepwise_shared: StepwiseLibvirtHosts | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StepwiseHosts]:
    """Two empty hosts of a fault matrix."""
    if stepwise_shared is not None:
        with stepwise_shared.taken():
            yield stepwise_shared
        return
    with stepwise_hosts(StepwiseHosts, tmp_path_factory.mktemp("s")) as site:
        yield site


def _by_libvirt(folder: Path, shape: Shape) -> Iterator[LibvirtSite]:
    site = LibvirtSite(folder, shape)
    boot_sectors.idle(site.images / "idle.img")
    boot_sectors.power_off(site.images / "off.img")
    boot_sectors.echo(site.images / "echo.img")
    site.start()
    yield site
    site.end_empty()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def opened(machine: QemuMachine, heard: Heard) -> Iterator[Callable[..., Qemu]]:
    """Open a hypervisor on the machine; it is closed in the end."""
    made: list[Qemu] = []

    def make(**different: object) -> Qemu:
        qemu = machine.open(**different)  # type: ignore[arg-type]
        qemu.listen(heard)
        made.append(qemu)
        return qemu

    yield make
    for qemu in made:
        qemu.close()


@pytest.fixture
def qemu(opened: Callable[..., Qemu]) -> Qemu:
    return opened()
