"""Bridges that Tashi makes, between hosts that are network namespaces, with real frames."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from frames import guest_on
from namespaces import Namespace, cable, namespaces
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed, Misconfigured
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ON_999 = Nic(NetworkId(999), "52:54:00:00:00:01")
ALSO_ON_999 = Nic(NetworkId(999), "52:54:00:00:00:02")
ON_1001 = Nic(NetworkId(1001), "52:54:00:00:00:03")


def a_network(**different: object) -> BridgeNetworks:
    plain: dict[str, object] = {
        "uplink": "eth0",
        "uplink_kind": "vxlan",
        "vxlan_peers": ("10.9.9.1", "10.9.9.2"),
    }
    settings = BridgesSettings(**{**plain, **different})  # type: ignore[arg-type]
    return BridgeNetworks(settings, Nftables(SystemCommands()))


@pytest.fixture
def hosts() -> Iterator[list[Namespace]]:
    with namespaces(2) as made:
        cable(made[0], made[1])
        yield made


def test_guests_of_one_network_hear_each_other_across_hosts(hosts: list[Namespace]) -> None:
    here, there = hosts
    with (
        guest_on(here, a_network(), ON_999) as one,
        guest_on(there, a_network(), ALSO_ON_999) as other,
    ):
        one.say(b"anybody?")
        question = other.words()
        other.say(b"me", to=one.mac)
        answer = one.words()

    assert (question, answer) == (b"anybody?", b"me")


def test_guests_of_different_networks_do_not(hosts: list[Namespace]) -> None:
    here, there = hosts
    networks = a_network()
    with (
        guest_on(here, networks, ON_999, 7) as one,
        guest_on(here, networks, ON_1001, 8) as neighbour,
        guest_on(there, a_network(), Nic(NetworkId(1001), "52:54:00:00:00:04")) as other,
    ):
        one.say(b"for 999 only")
        one.say(b"for 999 only", to=other.mac)
        neighbour.say(b"for 1001")
        heard = other.words()
        other.say(b"to 1001")
        answer = neighbour.words()

    assert (heard, answer) == (b"for 1001", b"to 1001")


def test_packets_leave_room_for_what_vxlan_puts_before_them(hosts: list[Namespace]) -> None:
    here, there = hosts
    longest = bytes([7] * 1450)
    with (
        guest_on(here, a_network(), ON_999) as one,
        guest_on(there, a_network(), ALSO_ON_999) as other,
    ):
        one.say(longest)
        heard = other.words()

    assert one.mtu == other.mtu == len(longest)
    assert heard == longest


def test_a_kernel_without_vlans_is_named_with_the_remedy(hosts: list[Namespace]) -> None:
    here = hosts[0]
    before = here.devices()

    with (
        pytest.raises(HypervisorFailed, match=r"no 802\.1Q.*uplinkKind = vxlan"),
        guest_on(here, a_network(uplink_kind="vlan"), ON_999),
    ):
        pass

    assert here.devices() == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"uplink": None}, "needs uplink"),
        ({"vxlan_peers": ()}, "either vxlanPeers"),
        ({"vxlan_group": "239.1.1.1"}, "either vxlanPeers"),
        ({"vxlan_peers": ("10.0.0.1", "fd00::1")}, "all IPv4 or all IPv6"),
        ({"vxlan_peers": (), "vxlan_group": "10.0.0.1"}, "no multicast address"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(Misconfigured, match=words):
        a_network(**settings)


@pytest.mark.parametrize(
    ("settings", "mtu"),
    [
        ({"vxlan_peers": (), "vxlan_group": "239.1.1.1"}, 1450),
        ({"vxlan_peers": ("2001:db8::1", "2001:db8::2")}, 1430),
        ({"vxlan_peers": (), "vxlan_group": "ff05::1:1"}, 1430),
        ({"vxlan_port": 8472, "mtu": 1400}, 1400),
    ],
    ids=["group", "over IPv6", "group over IPv6", "another port"],
)
def test_vxlan_finds_the_other_hosts(
    hosts: list[Namespace], settings: dict[str, object], mtu: int
) -> None:
    here, there = hosts
    for number, host in enumerate(hosts, start=1):
        host.ip("addr", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
    with (
        guest_on(here, a_network(**settings), ON_999) as one,
        guest_on(there, a_network(**settings), ALSO_ON_999) as other,
    ):
        one.say(b"anybody?")
        heard = other.words()

    assert heard == b"anybody?"
    assert one.mtu == mtu


def test_peers_that_were_struck_out_are_sent_nothing_more(hosts: list[Namespace]) -> None:
    here, _ = hosts
    many = a_network(vxlan_peers=("10.9.9.2", "10.9.9.3"))
    fewer = a_network(vxlan_peers=("10.9.9.2", "10.9.9.4"))

    with guest_on(here, many, ON_999, 7):
        before = here.run("bridge", "fdb", "show", "dev", "vxlan.999")
        with guest_on(here, fewer, ALSO_ON_999, 8):
            after = here.run("bridge", "fdb", "show", "dev", "vxlan.999")

    assert "dst 10.9.9.3" in before
    assert "dst 10.9.9.3" not in after
    assert "dst 10.9.9.4" in after


def test_a_tap_that_lost_its_bridge_is_joined_again_by_the_next_node_manager(
    hosts: list[Namespace],
) -> None:
    here, there = hosts
    networks = a_network()
    with (
        guest_on(here, networks, ON_999, 7) as one,
        guest_on(there, a_network(), ALSO_ON_999, 8) as other,
    ):
        here.ip("link", "del", "vmbr.999")
        here.call(a_network().adopt, {InstanceId(7): {0: ON_999}})
        one.say(b"back again")
        heard = other.words()

    assert heard == b"back again"


@pytest.mark.parametrize(
    ("network", "settings", "words"),
    [
        (2**24, {}, "above 16777215"),
        (4095, {"uplink_kind": "vlan"}, "above 4094"),
        (5, {"uplink": "eth7"}, "no network card eth7"),
        (5, {"networks": (999,)}, "does not offer network 5"),
        (5, {"vxlan_peers": ("2001:db8::1",)}, "no IPv6 address"),
    ],
)
def test_what_cannot_be_is_said_with_the_reason(
    hosts: list[Namespace], network: int, settings: dict[str, object], words: str
) -> None:
    here = hosts[0]
    before = here.devices()

    with (
        pytest.raises(HypervisorFailed, match=words),
        guest_on(here, a_network(**settings), Nic(NetworkId(network), "52:54:00:00:00:07")),
    ):
        pass

    assert here.devices() == before


def test_devices_of_others_are_not_taken_for_ours(hosts: list[Namespace]) -> None:
    here = hosts[0]
    here.ip("link", "add", "name", "vmbr.999", "type", "veth", "peer", "name", "elsewhere")

    with (
        pytest.raises(HypervisorFailed, match=r"vmbr\.999 is there, but it is no bridge"),
        guest_on(here, a_network(), ON_999),
    ):
        pass

    assert here.devices() == {"eth0", "vmbr.999", "elsewhere"}


def test_guests_may_start_and_end_at_the_same_time(hosts: list[Namespace]) -> None:
    here = hosts[0]
    networks = a_network()

    def live(key: int) -> None:
        for _ in range(5):
            nics = {n: Nic(NetworkId(900 + n), f"52:54:00:00:{key:02x}:0{n}") for n in range(2)}
            with networks.wire(InstanceId(key), nics):
                pass
            networks.tidy()

    def live_together() -> None:
        # Threads have the namespace of the one that starts them.
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(live, range(1, 9)))
        # Until it is another program, a process that one of them begins has the TAPs of all open.
        networks.tidy()

    here.call(live_together)

    assert here.devices() == {"eth0"}
    assert here.run("nft", "list", "ruleset") == ""
