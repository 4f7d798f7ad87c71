"""Of a node manager that is killed on the way of a card, the next one removes what is left."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from frames import guest_on
from namespaces import Namespace, cable, namespaces
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

MORTAL: Final = Path(__file__).with_name("mortal.py")
SETTINGS: Final[dict[str, Any]] = {
    "uplink": "eth0",
    "uplink_kind": "vxlan",
    "vxlan_peers": ("10.9.9.1", "10.9.9.2"),
    "untagged": 1,
}
ON_VXLAN: Final = (
    "tap", "making", "made vxlan.5", "making", "made vmbr.5", "moved", "wired",
    "joined", "guarded", "plugged",
)  # fmt: skip
UNTAGGED: Final = (
    "tap", "making", "made vmbr", "moved", "wired", "joined", "guarded",
    "plugged",
)  # fmt: skip


@pytest.fixture
def hosts() -> Iterator[list[Namespace]]:
    with namespaces(2) as made:
        cable(made[0], made[1])
        yield made


def killed_at(step: int, network: int, host: Namespace) -> list[str]:
    """The steps that a node manager went which was killed at that one."""
    command = [sys.executable, str(MORTAL), str(step), json.dumps(SETTINGS), str(network)]
    done = subprocess.run(
        ["ip", "netns", "exec", host.name, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.splitlines()


def next_networks() -> BridgeNetworks:
    return BridgeNetworks(BridgesSettings(**SETTINGS), Nftables(SystemCommands()))


@pytest.mark.parametrize("step", range(len(ON_VXLAN)), ids=ON_VXLAN)
def test_nothing_is_left_of_a_start_that_was_cut_short(hosts: list[Namespace], step: int) -> None:
    here = hosts[0]
    before = here.devices()

    steps = killed_at(step, 5, here)
    here.call(next_networks().adopt, {})

    assert tuple(steps) == ON_VXLAN[: step + 1]
    assert here.devices() == before
    assert here.run("nft", "list", "ruleset") == ""


@pytest.mark.parametrize("step", range(len(UNTAGGED)), ids=UNTAGGED)
def test_the_host_keeps_its_address_at_every_step(hosts: list[Namespace], step: int) -> None:
    here, there = hosts

    steps = killed_at(step, 1, here)
    there.run("ping", "-c", "1", "-W", "5", "10.9.9.1")
    here.call(next_networks().adopt, {})

    assert tuple(steps) == UNTAGGED[: step + 1]
    there.run("ping", "-c", "1", "-W", "5", "10.9.9.1")
    assert here.devices() in ({"eth0"}, {"eth0", "vmbr"})
    assert here.run("nft", "list", "ruleset") == ""


def test_what_was_left_half_made_does_not_keep_the_next_guest_from_starting(
    hosts: list[Namespace],
) -> None:
    here, there = hosts
    killed_at(ON_VXLAN.index("made vxlan.5"), 5, here)

    with (
        guest_on(here, next_networks(), Nic(NetworkId(5), "52:54:00:00:00:01")) as one,
        guest_on(there, next_networks(), Nic(NetworkId(5), "52:54:00:00:00:02")) as other,
    ):
        one.say(b"it works")
        heard = other.words()

    assert heard == b"it works"
