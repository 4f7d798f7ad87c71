"""What every way to a network promises (`tashi.ports.network`), held against each of them.

Those that make devices do so in a network namespace, which is as good as a machine of its own.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from namespaces import Namespace
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.network.user import UserNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.ports.network import Networks, OwnNetwork, Tap, Wiring, tap_name
from tashi.settings.sections.bridges import BridgesSettings

REAL: Final = [pytest.mark.system, pytest.mark.timeout(180)]
SEVEN: Final = InstanceId(7)
CARDS: Final = {
    0: Nic(NetworkId(999), "52:54:00:00:00:01"),
    2: Nic(NetworkId(1001), "52:54:00:00:00:02"),
}
NOWHERE: Final = {0: Nic(NetworkId(66), "52:54:00:00:00:03")}
SCRIPT: Final = '#!/bin/sh\nip link set dev "$1" up\n'


class Host:
    """A machine, and one way to networks on it; `restarted` is that of the next node manager."""

    def __init__(self, make: Callable[[], Networks], namespace: Namespace | None) -> None:
        self._make = make
        self._namespace = namespace
        self.networks = make()

    def do(self, work: Callable[..., Any], *arguments: object) -> Any:
        """On this machine."""
        if self._namespace is None:
            return work(*arguments)
        return self._namespace.call(work, *arguments)

    def restarted(self) -> Networks:
        self.networks = self._make()
        return self.networks

    def devices(self) -> set[str]:
        """All network devices of the machine, and what its packet filter knows of them."""
        if self._namespace is None:
            return set()
        filters = self._namespace.run("nft", "list", "ruleset").splitlines()
        return self._namespace.devices() | {line.strip() for line in filters}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    made.ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "out")
    made.ip("addr", "add", "10.9.9.1/24", "dev", "eth0")
    made.ip("link", "set", "eth0", "up")
    yield made
    made.close()


@pytest.fixture(
    params=["user", pytest.param("script", marks=REAL), pytest.param("bridges", marks=REAL)]
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    if request.param == "user":
        return Host(lambda: UserNetworks((80,)), None)
    namespace = request.getfixturevalue("namespace")
    commands = SystemCommands()
    guard = Nftables(commands)
    if request.param == "script":
        for network in (999, 1001):
            script = tmp_path / f"ifup.{network}"
            script.write_text(SCRIPT)
            script.chmod(0o755)
        prefix = f"{tmp_path}/ifup."
        return Host(lambda: ScriptNetworks(commands, guard, prefix), namespace)
    settings = BridgesSettings(
        uplink="eth0", uplink_kind="vxlan", vxlan_peers=("10.9.9.2",), networks=(999, 1001)
    )
    return Host(lambda: BridgeNetworks(settings, guard), namespace)


def inherit(wiring: Wiring) -> list[int]:
    """What a QEMU would keep open."""
    return [os.dup(plug.descriptor) for plug in wiring.values() if isinstance(plug, Tap)]


def started(host: Host) -> list[int]:
    """Start a guest, and return what keeps it alive."""

    def start() -> list[int]:
        with host.networks.wire(SEVEN, CARDS) as wiring:
            return inherit(wiring)

    descriptors: list[int] = host.do(start)
    return descriptors


def end(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def taps(host: Host) -> set[str]:
    return {name for name in host.devices() if name.startswith("tashi")}


def test_every_card_gets_a_plug_of_its_own(host: Host) -> None:
    def wire() -> tuple[Wiring, set[str]]:
        with host.networks.wire(SEVEN, CARDS) as wiring:
            return wiring, taps(host)

    wiring, during = host.do(wire)

    assert wiring.keys() == CARDS.keys()
    made = {tap_name(SEVEN, n) for n, plug in wiring.items() if isinstance(plug, Tap)}
    assert during == made
    assert made or all(isinstance(plug, OwnNetwork) for plug in wiring.values())


def test_a_card_lives_as_long_as_its_guest(host: Host) -> None:
    before = host.devices()

    guest = started(host)
    during = taps(host)
    end(guest)
    host.do(host.networks.tidy)

    assert len(during) == len(guest)
    assert host.devices() == before


def test_what_was_not_inherited_is_gone(host: Host) -> None:
    before = host.devices()

    def wire() -> None:
        with host.networks.wire(SEVEN, CARDS):
            pass
        host.networks.tidy()

    host.do(wire)

    assert host.devices() == before


def test_a_start_that_fails_leaves_nothing(host: Host) -> None:
    before = host.devices()

    def wire() -> None:
        with host.networks.wire(SEVEN, CARDS):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        host.do(wire)

    assert host.devices() == before


def test_a_network_that_is_not_offered_is_refused_by_its_number(host: Host) -> None:
    offered = host.do(host.networks.offered)
    before = host.devices()

    def wire() -> None:
        with host.networks.wire(SEVEN, {**CARDS, **NOWHERE}):
            pass

    if offered is None:
        host.do(wire)
    else:
        assert offered == (999, 1001)
        with pytest.raises(HypervisorFailed, match=r"\b66\b"):
            host.do(wire)

    assert host.devices() == before


def test_one_card_more_is_connected_while_the_guest_runs(host: Host) -> None:
    guest = started(host)
    more = {3: Nic(NetworkId(999), "52:54:00:00:00:04")}

    def plug_in() -> list[int]:
        with host.networks.wire(SEVEN, more) as wiring:
            return inherit(wiring)

    added = host.do(plug_in)
    during = taps(host)
    end(added)
    host.do(host.networks.tidy)

    assert len(during) == len(guest) + len(added)
    assert len(taps(host)) == len(guest)
    end(guest)


def test_the_next_node_manager_keeps_what_lives_and_removes_the_rest(host: Host) -> None:
    before = host.devices()
    guest = started(host)
    during = host.devices()

    host.do(host.restarted().adopt, {SEVEN: CARDS})
    kept = host.devices()
    end(guest)
    host.do(host.restarted().adopt, {})

    assert kept == during
    assert host.devices() == before


def test_an_address_may_become_known_at_any_time(host: Host) -> None:
    nic = Nic(NetworkId(999), "52:54:00:00:00:01", "192.0.2.7")
    host.do(host.networks.allow, SEVEN, 0, nic)
    guest = started(host)
    during = taps(host)

    host.do(host.networks.allow, SEVEN, 0, nic)
    host.do(host.networks.allow, SEVEN, 5, nic)

    assert taps(host) == during
    end(guest)


def test_there_may_be_nothing_to_tidy(host: Host) -> None:
    before = host.devices()

    host.do(host.networks.tidy)
    host.do(host.networks.adopt, {})

    assert host.devices() == before
