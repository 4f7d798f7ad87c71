"""A cluster of several hosts with two VLANs, and real guests that move on it.

Guests are run by QEMU alone, and through libvirt; for either the hosts are booted and the guests
started once, and every test leaves them running.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import boot_sectors
from system.guests import Guest, guests_in
from system.libvirt_sites import EITHER_HOSTS, LibvirtHosts
from system.many_hosts import ManyHosts
from system.readers import Reader, connected
from system.sites import Shape, state_of
from tashi.domain.states import InstanceState as S

pytestmark = pytest.mark.qemu

BOOT_SECONDS = 180
SOON_SECONDS = 90
ROUND_TRIPS: Final = 10
A_FEW: Final = 2
"""Round trips, where each move takes seconds."""
LINES_A_SECOND: Final = 10
PING_BYTES: Final = 30_000
DEAF: Final = "/proc/sys/net/ipv4/icmp_echo_ignore_all"
QUICK = {
    "ClusterManagerService": {"expireHostTime": 8},
    "NodeManagerService": {"registerFrequency": 1, "statsInterval": 2},
}
GUESTS = {"one": 999, "two": 999, "other": 1001}


@pytest.fixture(params=EITHER_HOSTS, scope="module")
def hosts(
    request: pytest.FixtureRequest, guest_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyHosts]:
    site: ManyHosts = request.param(tmp_path_factory.mktemp("s"), Shape(hosts=3, extra=QUICK))
    try:
        site.start()
        (site.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
        boot_sectors.idle(site.images / "idle.img")
        for name, vlan in GUESTS.items():
            create(site, name, vlan)
        yield site
    finally:
        for name in GUESTS:
            site.run("client", "destroyVm", "--instance", name, "--wait")
        left = site.end()
    assert not left, site.story()


def create(site: ManyHosts, name: str, vlan: int, *more: str) -> None:
    site.do(
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


def guest(site: ManyHosts, name: str) -> Guest:
    [instance] = [one.id for one in site.now().instances if one.name == name]
    [found] = [one for one in guests_in(site.folder) if one.instance == instance]
    return found


def address(site: ManyHosts, name: str) -> str:
    """What the guest got by DHCP, once it has booted."""
    [mac] = [one.nics[0].mac for one in site.now().instances if one.name == name]
    deadline = time.monotonic() + BOOT_SECONDS
    while (found := site.lab.leases().get(mac)) is None:
        assert time.monotonic() < deadline, guest(site, name).console()
        time.sleep(0.1)
    return found


def crossed(site: ManyHosts, *names: str) -> list[tuple[float, float]]:
    """How many bytes each guest has received and sent in the time that is shown of it last."""
    told = json.loads(site.do("getInstances", "--show-stats", "--output", "json"))
    stats = {one["name"]: one["stats"] or {"seconds": 0, "nics": []} for one in told}

    def counted(name: str, way: str) -> float:
        rate: float = sum(nic[way] for nic in stats[name]["nics"])
        return rate * float(stats[name]["seconds"])

    return [(counted(name, "receivedBytes"), counted(name, "sentBytes")) for name in names]


def start(site: ManyHosts, name: str, *more: str) -> None:
    """Ask for a small guest that needs no kernel; it may take its time."""
    site.do("createVm", "--name", name, "--disks", "idle.img", "--nics", "none", *more)


@contextmanager
def ended_afterwards(site: ManyHosts, *names: str) -> Iterator[None]:
    try:
        yield
    finally:
        for name in names:
            site.run("client", "destroyVm", "--instance", name, "--wait")


def test_guests_reach_their_own_vlan_across_hosts_and_no_other(hosts: ManyHosts) -> None:
    one, two, other = (address(hosts, name) for name in GUESTS)
    machines = {hosts.machine_of(one).name for one in hosts.instances()}

    same = guest(hosts, "one").carry_out(f"ping -c 2 -W 30 {two}")
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


def test_what_comes_to_a_guest_is_shown_as_received_and_what_it_says_as_sent(
    hosts: ManyHosts,
) -> None:
    there = address(hosts, "two")
    speaker, listener = guest(hosts, "one"), guest(hosts, "two")
    deadline = time.monotonic() + SOON_SECONDS

    listener.carry_out(f"echo 1 >{DEAF}")
    try:
        heard, sent = 0.0, 0.0
        while heard < PING_BYTES or sent < PING_BYTES:
            assert time.monotonic() < deadline, (heard, sent)
            speaker.carry_out(f"ping -c 3 -s {PING_BYTES} -W 1 {there}")
            (come_back, sent), (heard, answered) = crossed(hosts, "one", "two")
    finally:
        listener.carry_out(f"echo 0 >{DEAF}")

    assert come_back < PING_BYTES
    assert answered < PING_BYTES


def test_an_http_connection_never_breaks_while_its_guest_moves_back_and_forth(
    hosts: ManyHosts,
) -> None:
    reader = Reader(hosts, address(hosts, "one"))
    [instance] = [one.id for one in hosts.now().instances if one.name == "one"]
    home = hosts.machine_of(instance)
    away = next(host for host in hosts.lab.hosts if host is not home)
    round_trips = A_FEW if isinstance(hosts, LibvirtHosts) else ROUND_TRIPS
    reader.start()
    try:
        for there in (away, home) * round_trips:
            hosts.do("migrateVm", "--instance", "one", "--dst", there.name, "--wait")
            assert hosts.machine_of(instance) is there
    finally:
        reader.stop()

    numbers = reader.numbers()
    assert reader.broken == ""
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 2 * round_trips
    assert len(reader.nonces()) == 1


def test_a_lost_image_folder_hurts_only_the_starts_of_that_host(hosts: ManyHosts) -> None:
    [instance] = [one.id for one in hosts.now().instances if one.name == "other"]
    broken = hosts.machine_of(instance)
    pinned = ("--hints", f"targetHost={broken.name}", "--memory", "32")
    with ended_afterwards(hosts, "stuck", "first", "second"):
        broken.lose_store()
        try:
            start(hosts, "stuck", *pinned)
            start(hosts, "first")
            start(hosts, "second")
            now = hosts.until(
                lambda now: (
                    {state_of(now, "first"), state_of(now, "second")} == {S.RUNNING}
                    and state_of(now, "stuck") is S.HELD
                )
            )
        finally:
            broken.find_store()
        mended = hosts.until(lambda now: state_of(now, "stuck") is S.RUNNING)

    [stuck] = [one for one in now.instances if one.name == "stuck"]
    assert stuck.reason == (
        f"The image folder {hosts.folder}/mnt/images is not there on this host: is it mounted?"
    )
    places = {one.name: one.host_id for one in now.instances}
    assert places["other"] not in {places["first"], places["second"]}
    assert guest(hosts, "other").status() == "running"
    assert {one.name: one.host_id for one in mended.instances}["stuck"] == places["other"]


def test_a_host_whose_cable_was_pulled_comes_back_with_its_guest(hosts: ManyHosts) -> None:
    before, [instance] = (
        guest(hosts, "two"),
        [one.id for one in hosts.now().instances if one.name == "two"],
    )
    host = hosts.machine_of(instance)

    hosts.lab.unplug(host)
    hosts.until(lambda now: state_of(now, "two") is S.ORPHANED)
    status = before.status()
    hosts.lab.plug(host)
    hosts.until(lambda now: state_of(now, "two") is S.RUNNING)

    assert status == "running"
    assert guest(hosts, "two") == before
    assert before.status() == "running"
    with connected(hosts, address(hosts, "two"), 7) as echo:
        echo.sendall(b"there?")
        assert echo.recv(6, socket.MSG_WAITALL) == b"there?"
