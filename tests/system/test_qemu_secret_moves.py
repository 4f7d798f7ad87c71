"""Guests on their way to another machine under TLS: real QEMU at both ends.

It is QEMU itself that shows the certificates here. Between libvirtds the node managers do, which is
tried in test_libvirt_hosts and in tests/adapters_libvirt.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import boot_sectors
from certificates import Office
from contracts.machines import PEER, QemuMachine, a_spec
from system.books import Place
from system.sites import Shape, Site
from tashi.adapters.hypervisor.qemu import sending
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
PLAIN = Road()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def node(office: Office) -> Road:
    return Road(PEER, office.issued("nodemanager", "rack1", PEER))


class Two:
    """Two machines; the guest is on the first."""

    def __init__(self, verdict: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._here = stack.enter_context(closing(QemuMachine.made(verdict)))
        self._there = stack.enter_context(closing(self._here.neighbour()))

    def opened(self, source: Road, target: Road) -> tuple[Qemu, Qemu]:
        here = self._stack.enter_context(closing(self._here.open(road=source)))
        there = self._stack.enter_context(closing(self._there.open(road=target)))
        here.start(a_spec())
        return here, there


@pytest.fixture
def two(verdict: Path) -> Iterator[Two]:
    with ExitStack() as stack:
        yield Two(verdict, stack)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU calls a server of disks again and again for so long; here nothing changes meanwhile."""
    monkeypatch.setattr(sending, "_OPEN_SECONDS", 1)


def found(qemu: Qemu) -> Found:
    [one] = qemu.adopt()
    return one.found


def test_a_guest_moves_with_its_disks_and_can_move_back(two: Two, node: Road) -> None:
    here, there = two.opened(node, node)

    here.send(SEVEN, there.prepare_target(a_spec(), PEER))
    there.run(SEVEN)

    assert (found(here), found(there)) == (Found.LEFT, Found.RUNNING)
    here.clear(SEVEN)
    there.send(SEVEN, here.prepare_target(a_spec(), PEER))
    here.run(SEVEN)
    assert (found(there), found(here)) == (Found.LEFT, Found.RUNNING)


@pytest.mark.parametrize("sender", ["plain", "a user", "another authority"])
def test_who_is_no_node_of_the_cluster_gets_nothing_in_and_the_guest_runs_on(
    two: Two, node: Road, office: Office, tmp_path: Path, sender: str
) -> None:
    papers = {
        "plain": lambda: PLAIN,
        "a user": lambda: Road(PEER, office.issued("user", "ada")),
        "another authority": lambda: Road(
            PEER, Office(tmp_path).issued("nodemanager", "rack1", PEER)
        ),
    }
    here, there = two.opened(papers[sender](), node)
    door = there.prepare_target(a_spec(), PEER)

    with pytest.raises(HypervisorFailed, match="was not moved"):
        here.send(SEVEN, door)

    assert found(here) is Found.RUNNING
    with pytest.raises(HypervisorFailed):
        there.run(SEVEN)


def test_guests_of_a_secure_cluster_start_and_move(short_path: Path, books: Place) -> None:
    site = Site(short_path, Shape(memory=2000, hosts=2, secure=True, books=books))
    boot_sectors.idle(site.images / "idle.img")
    try:
        site.start()
        small = ("--disks", "idle.img", "--memory", "32", "--wait")
        site.do("createVm", "--name", "web", *small)
        [web] = site.now().instances
        assert json.loads(site.do("startVnc", "--instance", "web", "--output", "json"))["tls"]
        [there] = [host.name for host in site.now().hosts if host.id != web.host_id]
        assert site.do("migrateVm", "--instance", "web", "--dst", there, "--wait") == (
            f"web runs on {there}.\n"
        )
        site.do("destroyVm", "--instance", "web", "--wait")
    finally:
        left = site.end()
    assert not left, site.story()


def test_a_target_of_another_address_is_not_believed(two: Two, node: Road, office: Office) -> None:
    elsewhere = Road(PEER, office.issued("nodemanager", "rack9", "192.0.2.9"))
    here, there = two.opened(node, elsewhere)

    with pytest.raises(HypervisorFailed, match="was not moved"):
        here.send(SEVEN, there.prepare_target(a_spec(), PEER))

    assert found(here) is Found.RUNNING
