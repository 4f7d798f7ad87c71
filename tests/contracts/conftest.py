"""What the suites of the hypervisors share: a machine of each kind, and what is heard from it."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from contracts.machines import (
    Heard,
    Machine,
    QemuMachine,
    SimulatedMachine,
)
from libvirtds import Libvirtd
from tashi.ports.hypervisor import Hypervisor

REAL = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]


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


@pytest.fixture(
    params=[
        "simulated",
        pytest.param("qemu", marks=REAL),
        pytest.param("libvirt", marks=[*REAL, pytest.mark.libvirt]),
    ]
)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = _made(request)
    yield made
    made.close()


def _made(request: pytest.FixtureRequest) -> Machine:
    if request.param == "simulated":
        return SimulatedMachine()
    if request.param == "qemu":
        return QemuMachine.made(request.getfixturevalue("verdict"))
    from contracts.libvirt_machines import LibvirtMachine  # noqa: PLC0415  needs make compiled

    made = LibvirtMachine.made(request.getfixturevalue("verdict"))
    made.daemons = request.getfixturevalue("libvirtds")
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
