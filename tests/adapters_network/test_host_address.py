"""A host whose own address is on the uplink, or on a bridge, keeps it and its connections."""

import re
import socket
from collections.abc import Iterator

import pytest

from frames import guest_on
from namespaces import Namespace, cable, namespaces
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

UNTAGGED = Nic(NetworkId(1), "52:54:00:00:00:01")
ON_5 = Nic(NetworkId(5), "52:54:00:00:00:05")


def a_network() -> BridgeNetworks:
    settings = BridgesSettings(
        uplink="eth0", uplink_kind="vxlan", vxlan_peers=("10.9.9.1", "10.9.9.2"), untagged=1
    )
    return BridgeNetworks(settings, Nftables(SystemCommands()))


@pytest.fixture
def hosts() -> Iterator[list[Namespace]]:
    with namespaces(2) as made:
        cable(made[0], made[1])
        for number, host in enumerate(made, start=1):
            host.ip("addr", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
        made[0].ip("route", "add", "default", "via", "10.9.9.2")
        made[0].ip("route", "add", "192.0.2.0/24", "via", "10.9.9.2", "metric", "77")
        made[0].ip("route", "add", "default", "via", "2001:db8::2")
        told = ("proto", "ra", "expires", "1000")
        made[0].ip("-6", "route", "add", "fd00:5::/64", "via", "2001:db8::2", *told)
        yield made


@pytest.fixture
def connection(hosts: list[Namespace]) -> Iterator[tuple[socket.socket, socket.socket]]:
    """One from the second host to the address of the first."""
    here, there = hosts
    with here.call(socket.create_server, ("10.9.9.1", 0)) as listener:
        near = there.call(socket.create_connection, listener.getsockname(), timeout=5.0)
        far, _ = listener.accept()
        with near, far:
            far.settimeout(5.0)
            yield near, far


def test_addresses_and_routes_move_to_the_bridge_and_connections_live_on(
    hosts: list[Namespace], connection: tuple[socket.socket, socket.socket]
) -> None:
    here, there = hosts
    near, far = connection

    with guest_on(here, a_network(), UNTAGGED) as guest:
        near.sendall(b"still there?")
        heard = far.recv(100)
        far.sendall(b"yes")
        answer = near.recv(100)
        there.run("ping", "-c", "1", "-W", "5", "2001:db8::1")
        guest.say(b"untagged")

    assert (heard, answer) == (b"still there?", b"yes")
    assert "10.9.9." not in here.ip("addr", "show", "dev", "eth0")
    on_bridge = here.ip("addr", "show", "dev", "vmbr")
    assert "inet 10.9.9.1/24" in on_bridge
    assert "inet6 2001:db8::1/64" in on_bridge
    assert "default via 10.9.9.2 dev vmbr" in here.ip("route")
    assert "192.0.2.0/24 via 10.9.9.2 dev vmbr" in here.ip("route")
    assert "metric 77" in here.ip("route")
    assert "default via 2001:db8::2 dev vmbr" in here.ip("-6", "route")
    assert re.search(
        r"fd00:5::/64 via 2001:db8::2 dev vmbr proto ra .*expires \d+", here.ip("-6", "route")
    )
    assert "eth0" not in here.ip("route") + here.ip("-6", "route", "show", "default")


def test_a_bridge_that_has_the_hosts_address_stays(hosts: list[Namespace]) -> None:
    here, there = hosts
    with guest_on(here, a_network(), UNTAGGED):
        pass

    here.call(a_network().adopt, {})

    assert here.devices() == {"eth0", "vmbr"}
    there.run("ping", "-c", "1", "-W", "5", "10.9.9.1")


def test_an_address_that_comes_back_to_the_uplink_moves_again(hosts: list[Namespace]) -> None:
    here = hosts[0]
    with guest_on(here, a_network(), UNTAGGED):
        here.ip("addr", "add", "10.9.9.77/24", "dev", "eth0")
        here.call(a_network().adopt, {})

    assert "10.9.9.77" in here.ip("addr", "show", "dev", "vmbr")
    assert "10.9.9.77" not in here.ip("addr", "show", "dev", "eth0")


def test_networks_beside_the_untagged_one_work_over_the_moved_address(
    hosts: list[Namespace],
) -> None:
    here, there = hosts
    networks = a_network()
    with (
        guest_on(here, networks, UNTAGGED, 7),
        guest_on(here, networks, ON_5, 8) as one,
        guest_on(there, a_network(), Nic(NetworkId(5), "52:54:00:00:00:06")) as other,
    ):
        one.say(b"over VXLAN")
        heard = other.words()

    assert heard == b"over VXLAN"


def test_guests_hear_what_is_sent_untagged(hosts: list[Namespace]) -> None:
    here, there = hosts
    with (
        guest_on(here, a_network(), UNTAGGED) as one,
        guest_on(there, a_network(), Nic(NetworkId(1), "52:54:00:00:00:02")) as other,
    ):
        one.say(b"on the cable itself")
        heard = other.words()

    assert heard == b"on the cable itself"


def test_a_bridge_of_the_admins_is_used_and_left_as_it_was(hosts: list[Namespace]) -> None:
    here, there = hosts
    # A bridge goes by the lowest of its members' addresses: this one is below any TAP's.
    here.ip("link", "add", "name", "mine", "address", "02:00:00:00:00:01", "type", "vxlan",
            "id", "5", "dstport", "4789", "remote", "10.9.9.2", "local", "10.9.9.1")  # fmt: skip
    here.ip("link", "add", "name", "vmbr.5", "type", "bridge")
    here.ip("link", "set", "mine", "master", "vmbr.5", "up")
    here.ip("addr", "add", "198.51.100.1/24", "dev", "vmbr.5")
    here.ip("link", "set", "vmbr.5", "up")
    before = here.devices(), here.ip("addr", "show", "dev", "vmbr.5")

    with (
        guest_on(here, a_network(), ON_5) as one,
        guest_on(there, a_network(), Nic(NetworkId(5), "52:54:00:00:00:06")) as other,
    ):
        one.say(b"by the admin's bridge")
        heard = other.words()
        during = here.ip("addr", "show", "dev", "vmbr.5")

    assert heard == b"by the admin's bridge"
    assert during.splitlines()[1:] == before[1].splitlines()[1:]
    assert here.devices() == before[0]


def test_a_bridge_without_a_way_out_gets_one_and_keeps_the_hosts_address(
    hosts: list[Namespace],
) -> None:
    here, there = hosts
    here.ip("link", "add", "name", "vmbr.5", "type", "bridge")
    here.ip("addr", "add", "198.51.100.1/24", "dev", "vmbr.5")
    here.ip("link", "set", "vmbr.5", "up")

    with (
        guest_on(here, a_network(), ON_5),
        guest_on(there, a_network(), Nic(NetworkId(5), "52:54:00:00:00:06")),
    ):
        there.ip("addr", "add", "198.51.100.2/24", "dev", "vmbr.5")
        there.run("ping", "-c", "1", "-W", "5", "198.51.100.1")

    there.run("ping", "-c", "1", "-W", "5", "198.51.100.1")
    assert "inet 198.51.100.1/24" in here.ip("addr", "show", "dev", "vmbr.5")


def test_a_card_that_cannot_join_a_bridge_keeps_its_addresses(hosts: list[Namespace]) -> None:
    here, there = hosts
    here.ip("link", "add", "name", "br0", "type", "bridge")
    here.ip("link", "set", "br0", "up")
    here.ip("addr", "flush", "dev", "eth0")
    here.ip("link", "set", "eth0", "master", "br0")
    here.ip("addr", "add", "10.9.9.1/24", "dev", "br0")
    here.ip("route", "add", "default", "via", "10.9.9.2")
    settings = BridgesSettings(uplink="br0", untagged=1)
    networks = BridgeNetworks(settings, Nftables(SystemCommands()))

    with (
        pytest.raises(HypervisorFailed, match="br0 cannot become a port of vmbr"),
        guest_on(here, networks, UNTAGGED),
    ):
        pass

    there.run("ping", "-c", "1", "-W", "5", "10.9.9.1")
    assert "default via 10.9.9.2 dev br0" in here.ip("route")
    assert here.devices() == {"eth0", "br0"}


def test_a_container_on_a_bridge_is_no_way_out_and_is_kept(hosts: list[Namespace]) -> None:
    here, there = hosts
    here.ip("link", "add", "name", "vmbr.5", "type", "bridge")
    here.ip("link", "add", "name", "box", "type", "veth", "peer", "name", "inside")
    here.ip("link", "set", "box", "master", "vmbr.5", "up")
    here.ip("link", "set", "vmbr.5", "up")

    with (
        guest_on(here, a_network(), ON_5) as one,
        guest_on(there, a_network(), Nic(NetworkId(5), "52:54:00:00:00:06")) as other,
    ):
        one.say(b"out of here")
        heard = other.words()

    assert heard == b"out of here"
    assert here.devices() == {"eth0", "vmbr.5", "box", "inside", "vxlan.5"}
