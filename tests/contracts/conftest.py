"""What the suites of the hypervisors share: a machine of each kind, and what is heard from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.machines import Heard, Machine, QemuMachine, SimulatedMachine, found_verdict
from tashi.ports.hypervisor import Hypervisor

REAL = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found_verdict(tmp_path_factory.mktemp("verdict"))


@pytest.fixture(params=["simulated", pytest.param("qemu", marks=REAL)])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    simulated = request.param == "simulated"
    made: Machine = (
        SimulatedMachine() if simulated else QemuMachine.made(request.getfixturevalue("verdict"))
    )
    yield made
    made.close()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def hypervisor(machine: Machine, heard: Heard) -> Iterator[Hypervisor]:
    opened = machine.open()
    opened.listen(heard)
    yield opened
    opened.close()
