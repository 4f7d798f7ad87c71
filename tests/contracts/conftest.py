"""What the suites of the hypervisors share: a machine of each kind, and what is heard from it."""

from collections.abc import Callable, Iterator

import pytest

from contracts.machines import (
    Heard,
    Machine,
    QemuMachine,
    SimulatedMachine,
)
from tashi.ports.hypervisor import Hypervisor

REAL = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]
REAL_MACHINES = [
    pytest.param("qemu", marks=REAL),
    pytest.param("libvirt", marks=[*REAL, pytest.mark.libvirt]),
]


@pytest.fixture(params=["simulated", *REAL_MACHINES])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = _made(request)
    yield made
    made.close()


@pytest.fixture(params=REAL_MACHINES)
def here(request: pytest.FixtureRequest) -> Iterator[QemuMachine]:
    """A machine with real guests."""
    made = _made(request)
    assert isinstance(made, QemuMachine)
    yield made
    made.close()


@pytest.fixture
def there(here: Machine) -> Iterator[Machine]:
    """Another of the same kind, which sees the same images."""
    made = here.neighbour()
    yield made
    made.close()


@pytest.fixture
def opened(heard: Heard) -> Iterator[Callable[..., Hypervisor]]:
    """Open a hypervisor on a machine, whose news is heard; it is closed in the end."""
    made: list[Hypervisor] = []

    def make(machine: Machine, **different: object) -> Hypervisor:
        made.append(machine.open(**different))
        made[-1].listen(heard)
        return made[-1]

    yield make
    for hypervisor in made:
        hypervisor.close()


def _made(request: pytest.FixtureRequest) -> Machine:
    if request.param == "simulated":
        return SimulatedMachine()
    if request.param == "qemu":
        return QemuMachine.made(request.getfixturevalue("verdict"))
    from contracts.libvirt_machines import LibvirtMachine  # noqa: PLC0415  needs make compiled

    made = LibvirtMachine.made(request.getfixturevalue("verdict"))
    made.daemons = request.getfixturevalue("libvirtds")
    made.is_mortal = True
    return made


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def hypervisor(machine: Machine, heard: Heard) -> Iterator[Hypervisor]:
    opened = machine.open()
    opened.listen(heard)
    yield opened
    opened.close()
