"""What is tried inside a guest whose kernel has 802.1Q: the real adapter, cards, tags and frames.

Two network cards on one cable are two hosts, a namespace each. Says for each check in one line
what came of it: CHECK name: ok, or why not.
"""

import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

from frames import A_TEST, EVERYBODY, ethernet, guest_on
from namespaces import Namespace
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

ON_999: Final = Nic(NetworkId(999), "52:54:00:00:00:01")
ALSO_ON_999: Final = Nic(NetworkId(999), "52:54:00:00:00:02")
ON_1001: Final = Nic(NetworkId(1001), "52:54:00:00:00:03")
ALSO_ON_1001: Final = Nic(NetworkId(1001), "52:54:00:00:00:04")
UNTAGGED: Final = Nic(NetworkId(1), "52:54:00:00:00:05")
STEPS: Final = (
    "tap", "making", "made eth0.999", "making", "made vmbr.999", "moved", "joined", "guarded",
    "plugged",
)  # fmt: skip
_PACKET: Final = 263  # SOL_PACKET
_AUXDATA: Final = 8  # PACKET_AUXDATA
_ALL: Final = 3  # ETH_P_ALL


def networks(uplink: str, on_step: Callable[[str], None] = lambda _: None) -> BridgeNetworks:
    settings = BridgesSettings(uplink=uplink, untagged=1)
    return BridgeNetworks(settings, Nftables(SystemCommands()), on_step)


def devices_are_made_and_removed(here: Namespace, _: Namespace) -> None:
    with guest_on(here, networks("eth0"), ON_999):
        during = here.devices()
        details = here.ip("-d", "link", "show", "eth0.999")
        members = here.ip("-o", "link", "show", "master", "vmbr.999")

    assert during == {"eth0", "eth0.999", "vmbr.999", "tashi7.0"}, during
    assert "vlan protocol 802.1Q id 999" in details, details
    assert "tashi7.0" in members, members
    assert "eth0.999" in members, members
    assert here.devices() == {"eth0"}, here.devices()


def one_vlan_is_one_network_across_hosts(here: Namespace, there: Namespace) -> None:
    with (
        guest_on(here, networks("eth0"), ON_999) as one,
        guest_on(there, networks("eth1"), ALSO_ON_999) as other,
    ):
        one.say(b"anybody?")
        assert other.words() == b"anybody?"
        other.say(b"me", to=one.mac)
        assert one.words() == b"me"


def another_vlan_hears_nothing(here: Namespace, there: Namespace) -> None:
    ours = networks("eth0")
    with (
        guest_on(here, ours, ON_999, 7) as one,
        guest_on(here, ours, ON_1001, 8) as neighbour,
        guest_on(there, networks("eth1"), ALSO_ON_1001) as other,
    ):
        one.say(b"for 999 only")
        one.say(b"for 999 only", to=other.mac)
        neighbour.say(b"for 1001")
        assert other.words() == b"for 1001"


def tag_of(words: bytes, wire: socket.socket) -> int:
    """The VLAN tag of the next frame with these words; the kernel keeps it beside the frame."""
    while True:
        frame, told, _, _ = wire.recvmsg(2000, 200)
        if words in frame:
            [beside] = [data for *kind, data in told if kind == [_PACKET, _AUXDATA]]
            tag: int = struct.unpack("IIIHHHH", beside)[5]
            return tag


def the_tag_on_the_cable_is_the_networks_number(here: Namespace, there: Namespace) -> None:
    with (
        there.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as wire,
        guest_on(here, networks("eth0"), ON_999) as one,
    ):
        # Else the card itself would drop tags that nobody there asked for.
        there.ip("link", "set", "eth1", "promisc", "on")
        there.call(wire.bind, ("eth1", _ALL))
        wire.setsockopt(_PACKET, _AUXDATA, 1)
        wire.settimeout(1.0)
        tags = []
        for _ in range(60):  # the cable may not be ready for the first
            one.say(b"look at my tag")
            with suppress(TimeoutError):
                tags.append(tag_of(b"look at my tag", wire))
                break
    assert tags == [999], tags


def the_host_keeps_its_address_on_the_uplink(here: Namespace, there: Namespace) -> None:
    with guest_on(here, networks("eth0"), ON_999):
        there.run("ping", "-c", "1", "-W", "10", "10.9.9.1")
        assert "10.9.9.1/24" in here.ip("addr", "show", "dev", "eth0")
    assert "10.9.9.1/24" in here.ip("addr", "show", "dev", "eth0")


def a_vlan_that_is_there_is_adopted_with_the_hosts_address(
    here: Namespace, there: Namespace
) -> None:
    for host, card, number in ((here, "eth0", 1), (there, "eth1", 2)):
        host.ip("link", "add", "link", card, "name", "mine", "type", "vlan", "id", "1001")
        host.ip("addr", "add", f"198.51.100.{number}/24", "dev", "mine")
        host.ip("link", "set", "mine", "up")

    with guest_on(here, networks("eth0"), ON_1001) as one:
        there.run("ping", "-c", "1", "-W", "10", "198.51.100.1")
        assert "198.51.100.1/24" in here.ip("addr", "show", "dev", "vmbr.1001")
        with guest_on(there, networks("eth1"), ALSO_ON_1001) as other:
            one.say(b"by mine")
            assert other.words() == b"by mine"

    assert here.devices() == {"eth0", "mine", "vmbr.1001"}, here.devices()
    there.run("ping", "-c", "1", "-W", "10", "198.51.100.1")
    for host in (here, there):
        host.ip("link", "del", "vmbr.1001")
        host.ip("link", "del", "mine")


def a_guest_cannot_reach_another_vlan_by_a_tag_of_its_own(
    here: Namespace, there: Namespace
) -> None:
    ours = networks("eth0")
    with (
        guest_on(there, networks("eth1"), ON_1001) as victim,
        guest_on(here, ours, UNTAGGED, 7) as one,
        guest_on(here, ours, ALSO_ON_1001, 8) as honest,
    ):
        inside = (1001).to_bytes(2) + A_TEST.to_bytes(2) + b"smuggled"
        one.send(ethernet(EVERYBODY, one.mac, 0x8100, inside))
        honest.say(b"honest")
        assert victim.words() == b"honest"
    here.ip("link", "del", "vmbr")
    here.ip("addr", "replace", "10.9.9.1/24", "dev", "eth0")


def steps_until_killed(deadly: int, nic: Nic) -> list[str]:
    """The steps of a child that wires a card, which is killed at the one of that number."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        numbers = count()

        def on_step(step: str) -> None:
            os.write(telling, f"{step}\n".encode())
            if next(numbers) == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

        with suppress(BaseException), networks("eth0", on_step).wire(InstanceId(7), {0: nic}):
            pass
        os._exit(1)
    os.close(telling)
    with open(told) as steps:  # noqa: PTH123  what is open has no path
        said = steps.read().splitlines()
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), said
    return said


def nothing_is_left_of_a_start_that_was_cut_short(here: Namespace, _: Namespace) -> None:
    before = here.devices()
    for number in range(len(STEPS)):
        steps = here.call(steps_until_killed, number, ON_999)
        here.call(networks("eth0").adopt, {})
        assert tuple(steps) == STEPS[: number + 1], steps
        assert here.devices() == before, (steps, here.devices())
        assert not here.run("nft", "list", "ruleset"), steps


CHECKS: Final[tuple[Callable[[Namespace, Namespace], None], ...]] = (
    devices_are_made_and_removed,
    one_vlan_is_one_network_across_hosts,
    another_vlan_hears_nothing,
    the_tag_on_the_cable_is_the_networks_number,
    the_host_keeps_its_address_on_the_uplink,
    a_vlan_that_is_there_is_adopted_with_the_hosts_address,
    a_guest_cannot_reach_another_vlan_by_a_tag_of_its_own,
    nothing_is_left_of_a_start_that_was_cut_short,
)


def main() -> None:
    """Set up two hosts and try everything."""
    here, there = Namespace(), Namespace()
    for host, card, number in ((here, "eth0", 1), (there, "eth1", 2)):
        host.take(card)
        host.ip("addr", "add", f"10.9.9.{number}/24", "dev", card)
        host.ip("link", "set", card, "up")
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            check(here, there)
        except Exception:  # noqa: BLE001  whatever it is, the console has to say it
            words = " | ".join(traceback.format_exc().splitlines()[-4:])
            sys.stdout.write(f"CHECK {name}: {words}\n")
        else:
            sys.stdout.write(f"CHECK {name}: ok\n")
        sys.stdout.flush()
    here.close()
    there.close()


if __name__ == "__main__":
    main()
