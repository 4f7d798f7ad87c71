"""Rules that somebody else takes away are there again, and nobody had to look for that."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from frames import guest_on
from namespaces import Namespace
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.network.vigil import Vigil, removals
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NIC = Nic(NetworkId(5), "52:54:00:00:00:01", "192.0.2.7")
LONGEST_SECONDS = 60.0


@dataclass
class Bench:
    """A host with a guest, whose rules are looked after."""

    host: Namespace
    networks: BridgeNetworks
    guard: Nftables
    mended: SimpleQueue[None] = field(default_factory=SimpleQueue)
    failures: list[str] = field(default_factory=list)

    def mend(self) -> None:
        if self.failures:
            raise HypervisorFailed(self.failures.pop())
        self.guard.mend()
        self.mended.put(None)

    def rules(self) -> str:
        """The rules of the host, as people see them."""
        return self.host.run("nft", "list", "ruleset", "bridge")

    def wait_for(self, rules: str) -> None:
        """Wait until they are those, which can only be when they have just been mended."""
        while self.rules() != rules:
            self.mended.get(timeout=LONGEST_SECONDS)


@pytest.fixture
def bench() -> Iterator[Bench]:
    host = Namespace()
    host.ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "out")
    host.ip("addr", "add", "10.9.9.1/24", "dev", "eth0")
    guard = Nftables(SystemCommands())
    uplink = BridgesSettings(uplink="eth0", uplink_kind="vxlan", vxlan_peers=("10.9.9.2",))
    made = Bench(host, BridgeNetworks(uplink, guard), guard)
    vigil = host.call(Vigil, made.mend)
    with guest_on(host, made.networks, NIC, 7):
        yield made
    vigil.close()
    vigil.close()
    host.close()


@pytest.mark.parametrize(
    "taken",
    [
        "flush ruleset",
        "delete table bridge tashi",
        "flush chain bridge tashi tashi7.0",
        "flush chain bridge tashi from_guests",
        "flush map bridge tashi cards",
    ],
)
def test_rules_that_others_take_away_come_back(
    bench: Bench, taken: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = bench.rules()

    bench.host.run("nft", taken)

    bench.wait_for(before)
    while "Somebody removed rules from the table bridge tashi" not in caplog.text:
        bench.mended.get(timeout=LONGEST_SECONDS)


def test_what_could_not_be_put_back_at_once_is_tried_again(bench: Bench) -> None:
    before = bench.rules()
    bench.failures.append("There is no memory left.")

    bench.host.run("nft", "flush", "ruleset")

    bench.wait_for(before)
    assert bench.failures == []


def test_they_come_back_as_often_as_they_are_taken_away(bench: Bench) -> None:
    before = bench.rules()

    for _ in range(5):
        bench.host.run("nft", "flush", "ruleset")
        bench.wait_for(before)


def test_what_is_learned_of_a_card_meanwhile_is_not_forgotten(bench: Bench) -> None:
    moved = Nic(NIC.network, NIC.mac, "192.0.2.8")
    bench.host.call(bench.networks.allow, InstanceId(7), 0, moved)
    after = bench.rules()

    bench.host.run("nft", "flush", "ruleset")

    bench.wait_for(after)
    assert "192.0.2.8" in after


def test_a_guest_that_is_gone_gets_no_rules_back(bench: Bench) -> None:
    before = bench.rules()
    with guest_on(bench.host, bench.networks, Nic(NetworkId(5), "52:54:00:00:00:02"), 8):
        pass

    bench.host.run("nft", "flush", "ruleset")

    bench.wait_for(before)


def test_only_removals_from_tables_for_bridges_count() -> None:
    def word(kind: int, family: int) -> bytes:
        return struct.pack("=IHHIIBxH", 20, kind, 0, 1, 0, family, 0)

    removed, added, inet, other = (10 << 8) | 2, (10 << 8) | 0, 1, 6 << 8

    assert list(removals(word(removed, 7))) == [True]
    assert list(removals(word(added, 7) + word(removed, inet) + word(other | 2, 7))) == [False] * 3
    assert list(removals(b"")) == []
