"""Anti-spoofing, with the packets that a guest would send and a neighbour that listens."""

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

import pytest

from frames import A_TEST, EVERYBODY, Card, ethernet, guest_on
from namespaces import Namespace
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables, NoGuard, rules
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

MINE = "52:54:00:00:00:01"
OTHERS = "52:54:00:00:00:66"
KNOWN = "192.0.2.7"
KNOWN_6 = "2001:db8::7"
ARP, IPV4, IPV6, TAGGED, ANY = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88B6
UDP, ICMPV6 = 17, 58
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136


class Bench(NamedTuple):
    """A guest under test, and its neighbour on the same bridge."""

    host: Namespace
    networks: BridgeNetworks
    guest: Card
    neighbour: Card

    def knows(self, address: str | None) -> None:
        nic = Nic(NetworkId(5), MINE, address)
        self.host.call(self.networks.allow, InstanceId(7), 0, nic)

    def passes(self, frame: bytes) -> bool:
        """Whether the neighbour hears it before what is sent next and passes always."""
        self.guest.send(frame)
        self.guest.say(b"and so on")
        kinds = {int.from_bytes(frame[12:14]), A_TEST}
        heard = [self.neighbour.next_of(kinds)]
        while b"and so on" not in heard[-1]:
            heard.append(self.neighbour.next_of(kinds))
        # The kernel may take the filling off an IP packet's end.
        return any(frame.startswith(one) for one in heard)


@pytest.fixture
def host() -> Iterator[Namespace]:
    made = Namespace()
    made.ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "out")
    made.ip("addr", "add", "10.9.9.1/24", "dev", "eth0")
    yield made
    made.close()


def networks(*, guarded: bool) -> BridgeNetworks:
    settings = BridgesSettings(uplink="eth0", uplink_kind="vxlan", vxlan_peers=("10.9.9.2",))
    commands = SystemCommands()
    return BridgeNetworks(settings, Nftables(commands) if guarded else NoGuard(commands))


@pytest.fixture(params=[True])
def bench(host: Namespace, request: pytest.FixtureRequest) -> Iterator[Bench]:
    ours = networks(guarded=request.param)
    with (
        guest_on(host, ours, Nic(NetworkId(5), MINE), 7) as guest,
        guest_on(host, ours, Nic(NetworkId(5), "52:54:00:00:00:02"), 8) as neighbour,
    ):
        yield Bench(host, ours, guest, neighbour)


def arp(sender: str, mac: str = MINE) -> bytes:
    """Who has 192.0.2.1? Tell `sender`."""
    head = bytes.fromhex("0001 0800 06 04 0001")
    said = bytes.fromhex(mac.replace(":", "")) + ip_address(sender).packed
    return ethernet(EVERYBODY, MINE, ARP, head + said + bytes(6) + ip_address("192.0.2.1").packed)


def ipv4(source: str, ports: tuple[int, int] = (5353, 5353)) -> bytes:
    payload = ports[0].to_bytes(2) + ports[1].to_bytes(2) + (8).to_bytes(2) + bytes(2)
    length = (20 + len(payload)).to_bytes(2)
    before = b"\x45\0" + length + bytes(4) + b"\x40" + bytes([UDP])
    addresses = ip_address(source).packed + ip_address("255.255.255.255").packed
    words = struct.unpack("!9H", before[:10] + addresses)
    carried = sum(words) % 0xFFFF
    head = before + (0xFFFF - carried).to_bytes(2) + addresses
    return ethernet(EVERYBODY, MINE, IPV4, head + payload)


def ipv6(source: str, payload: bytes, kind: int = UDP) -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2) + bytes([kind, 255])
    to = ip_address("ff02::1").packed
    return ethernet(EVERYBODY, MINE, IPV6, head + ip_address(source).packed + to + payload)


def neighbour_discovery(source: str, kind: int, target: str) -> bytes:
    payload = bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + ip_address(target).packed
    return ipv6(source, payload, ICMPV6)


A_DATAGRAM = bytes(8)


def test_a_card_sends_from_its_own_mac_address_only(bench: Bench) -> None:
    assert bench.passes(ethernet(EVERYBODY, MINE, ANY, bytes(40)))
    assert not bench.passes(ethernet(EVERYBODY, OTHERS, ANY, bytes(40)))
    assert bench.passes(arp("192.0.2.99"))
    assert not bench.passes(arp("192.0.2.99", mac=OTHERS))


def test_any_address_passes_until_it_is_known(bench: Bench) -> None:
    assert bench.passes(ipv4("192.0.2.99"))
    assert bench.passes(ipv6("2001:db8::99", A_DATAGRAM))


def test_a_card_whose_address_is_known_sends_from_no_other(bench: Bench) -> None:
    bench.knows(KNOWN)

    assert bench.passes(ipv4(KNOWN))
    assert not bench.passes(ipv4("192.0.2.99"))
    assert bench.passes(arp(KNOWN))
    assert not bench.passes(arp("192.0.2.99"))


def test_it_can_still_ask_for_an_address(bench: Bench) -> None:
    bench.knows(KNOWN)

    assert bench.passes(ipv4("0.0.0.0", ports=(68, 67)))
    assert bench.passes(arp("0.0.0.0"))
    assert not bench.passes(ipv4("0.0.0.0", ports=(68, 53)))


def test_it_cannot_give_addresses_to_others(bench: Bench) -> None:
    dhcp, dhcp6 = (67, 68), (547).to_bytes(2) + (546).to_bytes(2) + (8).to_bytes(2) + bytes(2)

    assert not bench.passes(ipv4("192.0.2.99", ports=dhcp))
    assert not bench.passes(ipv6("fe80::1", dhcp6))
    bench.knows(KNOWN)
    assert not bench.passes(ipv4(KNOWN, ports=dhcp))


def test_an_address_that_changes_is_the_only_one_from_then_on(bench: Bench) -> None:
    bench.knows(KNOWN)
    bench.knows("192.0.2.8")

    assert bench.passes(ipv4("192.0.2.8"))
    assert not bench.passes(ipv4(KNOWN))


def test_ipv6_keeps_what_belongs_to_its_own_cable(bench: Bench) -> None:
    bench.knows(KNOWN_6)

    assert bench.passes(ipv6(KNOWN_6, A_DATAGRAM))
    assert bench.passes(ipv6("2001:db8::1:2:3:4", A_DATAGRAM))
    assert bench.passes(ipv6("fe80::1", A_DATAGRAM))
    assert bench.passes(neighbour_discovery("::", NEIGHBOUR_SOLICITATION, KNOWN_6))
    assert bench.passes(neighbour_discovery(KNOWN_6, NEIGHBOUR_ADVERTISEMENT, KNOWN_6))
    assert bench.passes(neighbour_discovery("fe80::1", NEIGHBOUR_ADVERTISEMENT, "fe80::1"))


def test_ipv6_in_anothers_name_is_dropped(bench: Bench) -> None:
    bench.knows(KNOWN_6)

    assert not bench.passes(ipv6("2001:db8:0:1::99", A_DATAGRAM))
    claim = neighbour_discovery("fe80::1", NEIGHBOUR_ADVERTISEMENT, "2001:db8:0:1::99")
    assert not bench.passes(claim)


@pytest.mark.parametrize(
    "nic",
    [
        Nic(NetworkId(5), "52:54:00:00:00:01 drop\nflush ruleset"),
        Nic(NetworkId(5), MINE, "192.0.2.7 }\nflush ruleset"),
    ],
    ids=["MAC", "IP"],
)
def test_no_address_adds_a_command(nic: Nic) -> None:
    with pytest.raises(HypervisorFailed, match="is no"):
        list(rules(nic))


def test_tags_lead_nowhere(bench: Bench) -> None:
    inside = bytes.fromhex("0005 0800") + bytes(40)

    assert not bench.passes(ethernet(EVERYBODY, MINE, TAGGED, inside))


@pytest.mark.parametrize("bench", [False], indirect=True)
def test_without_a_guard_everything_passes(bench: Bench) -> None:
    bench.knows(KNOWN)

    assert bench.passes(ethernet(EVERYBODY, OTHERS, ANY, bytes(40)))
    assert bench.passes(ipv4("192.0.2.99"))
    assert bench.host.run("nft", "list", "ruleset") == ""


def test_nothing_is_left_of_a_guest_that_has_ended(host: Namespace) -> None:
    ours = networks(guarded=True)
    with guest_on(host, ours, Nic(NetworkId(5), MINE), 7):
        with guest_on(host, ours, Nic(NetworkId(5), OTHERS), 8):
            both = host.run("nft", "list", "ruleset")
        one = host.run("nft", "list", "ruleset")

    assert "chain tashi7.0" in one
    assert "tashi8.0" in both
    assert "tashi8.0" not in one
    assert host.run("nft", "list", "ruleset") == ""


def test_what_was_flushed_by_somebody_is_there_again_after_a_restart(bench: Bench) -> None:
    bench.host.run("nft", "flush", "ruleset")
    before = bench.passes(ipv4("192.0.2.99"))

    nic = Nic(NetworkId(5), MINE, KNOWN)
    bench.host.call(networks(guarded=True).adopt, {InstanceId(7): {0: nic}})

    assert before
    assert bench.passes(ipv4(KNOWN))
    assert not bench.passes(ipv4("192.0.2.99"))


def test_a_guard_that_is_switched_off_ends_with_the_next_node_manager(bench: Bench) -> None:
    bench.knows(KNOWN)

    bench.host.call(networks(guarded=False).adopt, {})

    assert bench.passes(ipv4("192.0.2.99"))
