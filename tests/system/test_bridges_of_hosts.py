"""A cluster whose hosts make their guests' networks themselves, with real daemons and guests.

Through libvirt too, where it is libvirtd that opens the TAPs.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.libvirt_sites import EITHER_HOSTS
from system.many_hosts import ManyHosts
from system.sites import Shape
from system.test_many_hosts import QUICK, address, create, guest
from tashi.programs.demo.machines.lab import Machine
from tashi.programs.demo.machines.wiring import GROUP, VLANS

pytestmark = pytest.mark.qemu

BRIDGES = {
    "NodeManager": {"network": "bridges"},
    "Bridges": {
        "uplink": "eth0",
        "uplinkKind": "vxlan",
        "vxlanGroup": GROUP,
        "networks": ", ".join(map(str, VLANS)),
    },
}
SOON_SECONDS = 60.0


@pytest.fixture(params=EITHER_HOSTS)
def hosts(
    request: pytest.FixtureRequest, guest_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyHosts]:
    shape = Shape(hosts=2, extra={**QUICK, **BRIDGES})
    site: ManyHosts = request.param(tmp_path_factory.mktemp("s"), shape)
    try:
        site.start()
        for machine in site.lab.hosts:
            for vlan in VLANS:  # made by hand, for hosts that do not do it themselves
                machine.run("ip", "link", "del", f"vmbr.{vlan}")
                machine.run("ip", "link", "del", f"vxlan.{vlan}")
        (site.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def devices(machine: Machine) -> set[str]:
    """Its network devices, but those that every kernel brings."""
    told = json.loads(machine.run("ip", "-j", "link"))
    return {one["ifname"] for one in told if not one["ifname"].startswith(("lo", "ifb"))}


def is_bare_soon(machine: Machine) -> bool:
    """Whether a network card is all that it has, and no packet filter."""
    deadline = time.monotonic() + SOON_SECONDS
    while devices(machine) != {"eth0"} or machine.run("nft", "list", "ruleset"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_guests_meet_on_networks_that_come_and_go_with_them(hosts: ManyHosts) -> None:
    create(hosts, "one", 999)
    create(hosts, "two", 999)
    first, second = address(hosts, "one"), address(hosts, "two")
    machine, other = (hosts.machine_of(one) for one in sorted(hosts.instances()))
    at_first = devices(machine), devices(other)

    heard = guest(hosts, "one").carry_out(f"ping -c 2 -W 30 {second}")
    never_given = f"{first.rpartition('.')[0]}.7"
    forged = guest(hosts, "one").carry_out(
        f"ip addr add {never_given}/24 dev eth0; "
        f"ping -c 2 -W 1 -I {never_given} {second}; "
        f"ip addr del {never_given}/24 dev eth0"
    )
    hosts.do("migrateVm", "--instance", "one", "--dst", other.name, "--wait")
    after_moving = guest(hosts, "two").carry_out(f"ping -c 2 -W 30 {first}")
    moved_away = is_bare_soon(machine)
    hosts.do("destroyVm", "--instance", "one", "--wait")
    hosts.do("destroyVm", "--instance", "two", "--wait")

    assert at_first == (
        {"eth0", "vxlan.999", "vmbr.999", "tashi1.0"},
        {"eth0", "vxlan.999", "vmbr.999", "tashi2.0"},
    )
    assert "2 packets received" in heard
    assert "0 packets received" in forged
    assert "2 packets received" in after_moving
    assert moved_away
    assert is_bare_soon(other)
