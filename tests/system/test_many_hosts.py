"""A cluster of several hosts with two VLANs, and real guests that move on it.

The hosts are booted and the guests started once; every test leaves them running.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.guests import Guest, guests_in
from system.many_hosts import ManyHosts
from system.sites import Shape

pytestmark = pytest.mark.qemu

BOOT_SECONDS = 180
QUICK = {
    "ClusterManagerService": {"expireHostTime": 4},
    "NodeManagerService": {"registerFrequency": 1},
}
READY = re.compile(r"GUEST-READY host=\S+ address=(\S+)")
GUESTS = {"one": 999, "two": 999, "other": 1001}


@pytest.fixture(scope="module")
def hosts(guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyHosts]:
    site = ManyHosts(tmp_path_factory.mktemp("s"), Shape(hosts=3, extra=QUICK))
    try:
        site.start()
        (site.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
        for name, vlan in GUESTS.items():
            create(site, name, vlan)
        yield site
    finally:
        for name in GUESTS:
            site.run("client", "destroyVm", "--instance", name, "--wait")
        left = site.end()
    assert not left, site.story()


def create(site: ManyHosts, name: str, vlan: int, *more: str) -> None:
    do(
        site,
        "createVm",
        "--name",
        name,
        "--disks",
        "guest.qcow2",
        "--nics",
        str(vlan),
        "--wait",
        *more,
    )


def do(site: ManyHosts, *words: str) -> str:
    """Run tashi-client and return what it said; it must succeed."""
    ended = site.run("client", *words)
    assert ended.returncode == 0, f"{words}: {ended.stderr}\n{site.story()}"
    return ended.stdout


def guest(site: ManyHosts, name: str) -> Guest:
    [instance] = [one.id for one in site.now().instances if one.name == name]
    [found] = [one for one in guests_in(site.folder) if one.instance == instance]
    return found


def address(site: ManyHosts, name: str) -> str:
    """What the guest got by DHCP, as its console says once it has booted."""
    deadline = time.monotonic() + BOOT_SECONDS
    while (found := READY.search(guest(site, name).console())) is None:
        assert time.monotonic() < deadline, guest(site, name).console()
        time.sleep(0.1)
    return found[1]


def test_guests_reach_their_own_vlan_across_hosts_and_no_other(hosts: ManyHosts) -> None:
    one, two, other = (address(hosts, name) for name in GUESTS)
    machines = {hosts.machine_of(one).name for one in hosts.instances()}

    same = guest(hosts, "one").carry_out(f"ping -c 2 -W 5 {two}")
    # With an address of the other VLAN: nobody is between them who could refuse to route.
    elsewhere = guest(hosts, "one").carry_out(
        "ip addr add 172.16.101.240/24 dev eth0; "
        f"ping -c 2 -W 1 {other}; arping -c 2 -w 2 -I eth0 {other}; "
        "ip addr del 172.16.101.240/24 dev eth0"
    )

    assert len(machines) == 3, "each guest is on a host of its own"
    assert (one.rpartition(".")[0], other.rpartition(".")[0]) == ("172.16.99", "172.16.101")
    assert "2 packets received" in same
    assert "0 packets received" in elsewhere
    assert "Received 0 " in elsewhere
