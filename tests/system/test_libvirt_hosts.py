"""A mixed cluster of several hosts: two that run guests through libvirt, one by QEMU alone.

The hosts see nothing of each other but a network: what libvirt and QEMU say to their like on the
other host goes through the doors of node managers.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import boot_sectors
from libvirtds import Libvirtd
from system.many_hosts import ManyHosts
from system.sites import LIBVIRT, QEMU, Daemon, Shape
from tashi.domain.states import InstanceState as S

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt, pytest.mark.timeout(600)]

QUICK = {"NodeManagerService": {"registerFrequency": 1}}
SMALL = ("--disks", "idle.img", "--memory", "32", "--nics", "999")


class MixedHosts(ManyHosts):
    """Hosts of which the last runs guests by QEMU alone, and the others have a libvirtd each."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.libvirtds: list[Libvirtd] = []
        super().__init__(folder, shape)

    def start(self) -> None:
        """Make the machines and start their libvirtds first."""
        self.lab.make()
        for host in self.lab.hosts[:-1]:
            made = Libvirtd(self._lair(host.name), host.name, host.inside)
            self.libvirtds.append(made)
            made.start()
        super().start()

    def end(self) -> list[str]:
        """Stop the libvirtds last but for the machines."""
        for node in self.nodes:
            node.kill()
        for libvirtd in self.libvirtds:
            libvirtd.stop()
        return super().end()

    def _lair(self, name: str) -> Path:
        return self.folder / f"lv-{name}"

    def _node(self, number: int) -> Daemon:
        node = super()._node(number)
        machine = self.lab.hosts[number - 1]
        chosen = QEMU if machine is self.lab.hosts[-1] else LIBVIRT
        socket = self._lair(machine.name) / "sock/libvirt-sock"
        with (machine.own / "config/NodeManager.cfg").open("a") as settings:
            settings.write(
                f"[NodeManager]\nvmm = {chosen}\n"
                f"[Libvirt]\nuri = qemu+unix:///system?socket={socket}\n"
            )
        return node


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


def test_guests_move_between_hosts_of_their_kind_and_no_others(hosts: MixedHosts) -> None:
    hosts.do("createVm", "--name", "web", *SMALL, "--hints", "targetHost=host1", "--wait")
    hosts.do("createVm", "--name", "other", *SMALL, "--hints", "targetHost=host3", "--wait")
    begun = where(hosts), domains(hosts)

    refused = hosts.run("client", "migrateVm", "--instance", "web", "--dst", "host3", "--wait")
    hosts.do("migrateVm", "--instance", "web", "--dst", "host2", "--wait")
    moved = where(hosts), domains(hosts)
    drained = hosts.run("admin", "drain", "--host", "host2", "--wait")

    assert begun == ({"web": "host1", "other": "host3"}, [1, 0])
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
