"""A mixed cluster of several hosts: two that run guests through libvirt, one by QEMU alone.

The hosts see nothing of each other but a network: what libvirt and QEMU say to their like on the
other host goes through the doors of node managers.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import boot_sectors
from system.libvirt_sites import LibvirtHosts
from system.many_hosts import ManyHosts
from system.readers import Reader
from system.sites import Shape
from tashi.domain.errors import CommandFailed
from tashi.domain.states import InstanceState as S
from tashi.programs.demo.machines.lab import Machine

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt, pytest.mark.timeout(600)]

QUICK = {
    "ClusterManagerService": {"expireHostTime": 8},
    "NodeManagerService": {"registerFrequency": 1},
}
SMALL = ("--disks", "idle.img", "--memory", "32", "--nics", "999")
REAL = ("--disks", "guest.qcow2", "--nics", "999")
BOOT_SECONDS = 180


class MixedHosts(LibvirtHosts):
    """Hosts of which the last runs guests by QEMU alone."""

    BY_QEMU_ALONE = 1


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"], scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MixedHosts]:
    shape = Shape(hosts=3, extra=QUICK, secure=request.param)
    site = MixedHosts(tmp_path_factory.mktemp("s"), shape)
    try:
        site.start()
        boot_sectors.idle(site.images / "idle.img")
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


@pytest.fixture
def hosts(site: MixedHosts) -> Iterator[MixedHosts]:
    """They are empty before and after each test."""
    yield site
    for libvirtd in site.libvirtds:
        libvirtd.start()
    for host in site.lab.hosts:
        site.run("admin", "undrain", "--host", host.name)
    site.empty()


def where(site: MixedHosts) -> dict[str, str]:
    """The host of each instance that runs, in the books and for libvirt."""
    now = site.now()
    names = {host.id: host.name for host in now.hosts}
    return {
        one.name: names[one.host_id]
        for one in now.instances
        if one.state is S.RUNNING and one.host_id is not None
    }


def domains(site: MixedHosts) -> list[int]:
    """How many each libvirtd has that live."""
    return [len(one.virsh("list", "--name").stdout.split()) for one in site.libvirtds]


def resolves(machine: Machine, name: str) -> bool:
    """Whether a program there finds an address for that host name."""
    try:
        machine.run("getent", "hosts", name)
    except CommandFailed:
        return False
    return True


def test_guests_move_between_hosts_of_their_kind_and_no_others(hosts: MixedHosts) -> None:
    hosts.do("createVm", "--name", "web", *SMALL, "--hints", "targetHost=host1", "--wait")
    hosts.do("createVm", "--name", "other", *SMALL, "--hints", "targetHost=host3", "--wait")
    begun = where(hosts), domains(hosts)
    known = [resolves(hosts.lab.hosts[0], name) for name in ("localhost", "host2")]

    refused = hosts.run("client", "migrateVm", "--instance", "web", "--dst", "host3", "--wait")
    hosts.do("migrateVm", "--instance", "web", "--dst", "host2", "--wait")
    moved = where(hosts), domains(hosts)
    drained = hosts.run("admin", "drain", "--host", "host2", "--wait")

    assert begun == ({"web": "host1", "other": "host3"}, [1, 0])
    assert known == [True, False], "they go to addresses, whatever libvirt thinks of host names"
    assert refused.returncode == 1
    assert re.search("runs guests by QEMU alone, but it was booted by libvirt", refused.stderr)
    assert drained.returncode == 0, drained.stderr
    assert moved == ({"web": "host2", "other": "host3"}, [0, 1])
    assert (where(hosts)["web"], domains(hosts)) == ("host1", [1, 0])


def test_a_saved_guest_goes_on_on_another_host_of_its_kind(hosts: MixedHosts) -> None:
    anywhere = "targetHost=host1,allowElsewhere=1"
    hosts.do("createVm", "--name", "web", *SMALL, "--hints", anywhere, "--wait")
    hosts.do("suspendVm", "--instance", "web", "--wait")
    while_saved = domains(hosts)
    drained = hosts.run("admin", "drain", "--host", "host1", "--wait")
    hosts.do("resumeVm", "--instance", "web", "--wait")

    assert while_saved == [0, 0]
    assert drained.returncode == 0, drained.stderr
    assert (where(hosts)["web"], domains(hosts)) == ("host2", [0, 1])


def address(site: ManyHosts) -> str:
    """What the only guest got by DHCP, once it has booted."""
    [web] = site.now().instances
    deadline = time.monotonic() + BOOT_SECONDS
    while (found := site.lab.leases().get(web.nics[0].mac)) is None:
        assert time.monotonic() < deadline, site.story()
        time.sleep(0.1)
    return found


def test_a_connection_does_not_break_while_its_guest_moves_and_libvirtd_dies_in_between(
    hosts: MixedHosts, guest_image: Path
) -> None:
    (hosts.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
    hosts.do("createVm", "--name", "web", *REAL, "--hints", "targetHost=host1", "--wait")
    reader = Reader(hosts, address(hosts))
    reader.start()
    try:
        for there in ("host2", "host1"):
            for libvirtd in hosts.libvirtds:
                libvirtd.kill()
                libvirtd.start()
            hosts.do("migrateVm", "--instance", "web", "--dst", there, "--wait")
            assert where(hosts)["web"] == there
    finally:
        reader.stop()

    assert reader.broken == ""
    assert reader.numbers() == list(range(1, len(reader.numbers()) + 1))
    assert len(reader.nonces()) == 1
