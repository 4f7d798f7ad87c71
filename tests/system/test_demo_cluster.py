"""`make demo-cluster` and `make demo-cluster-down`, as the README promises them."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.demos import DemoCheckout, checkout_for_a_demo
from system.guests import guests_in
from tashi.programs.demo.machines import claims
from tashi.programs.demo.machines.namespace import NAMED

pytestmark = pytest.mark.qemu

INSTANCES = ("getInstances", "--output", "json")
PAIRS = (("web", "db"), ("web", "lab"), ("lab", "db"))
"""The last of each is asked; lab is on the other VLAN."""
TRIES = 5


@pytest.fixture
def checkout_of_a_demo(guest_image: Path, checkout: Path) -> Iterator[DemoCheckout]:
    made = checkout_for_a_demo(guest_image, checkout)
    yield made
    made.demo("down", "--many-hosts")
    shutil.rmtree(made.folder)


def guests(processes: dict[str, int]) -> set[int]:
    return {pid for words, pid in processes.items() if words.startswith("qemu-system")}


def answers(demo: DemoCheckout, asking: str, asked: str) -> bool:
    """Whether one guest of the demo is heard on the other's network when it asks for its address.

    It asks as nobody (0.0.0.0), which a guest may on any network: only VLANs are between them.
    """
    found = {one["name"]: one for one in json.loads(demo.client(*INSTANCES))}
    [guest] = [
        one
        for one in guests_in(demo.folder / ".demo-cluster")
        if one.instance == found[asking]["id"]
    ]
    [nic] = found[asked]["nics"]
    said = guest.carry_out(f"arping -D -c {TRIES} -w {TRIES} -I eth0 {nic['ip']}")
    assert "Received " in said
    return "Received 0 " not in said


def test_the_demo_of_many_hosts_moves_a_guest_and_leaves_nothing_whatever_was_killed(
    checkout_of_a_demo: DemoCheckout,
) -> None:
    home = checkout_of_a_demo.folder / ".demo-cluster"

    first = checkout_of_a_demo.demo("up", "--many-hosts")
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    [number] = [one for one, claim in claims.claims() if claim.home == str(home)]
    layout = checkout_of_a_demo.client("getVmLayout")
    heard = {pair: answers(checkout_of_a_demo, *pair) for pair in PAIRS}
    before = checkout_of_a_demo.processes()
    second = checkout_of_a_demo.demo("up", "--many-hosts")
    after = checkout_of_a_demo.processes()
    for words, pid in after.items():
        if re.search("/nmd |/nodemanager|dnsmasq", words):
            os.kill(pid, signal.SIGKILL)
    third = checkout_of_a_demo.demo("up", "--many-hosts")
    mended = checkout_of_a_demo.processes()
    down = checkout_of_a_demo.demo("down", "--many-hosts")

    moved = re.search(r"^web on (host\d):\n.*?nonce=(\w+).*?"
                      r"^web on (host\d): the same boot.*?nonce=(\w+)", first.stdout,
                      re.DOTALL | re.MULTILINE)  # fmt: skip
    assert moved is not None, first.stdout
    assert moved[1] != moved[3]
    assert moved[2] == moved[4]
    assert f"migrateVm --instance web --dst {moved[3]} " not in first.stdout
    assert layout in first.stdout
    assert heard == {("web", "db"): True, ("web", "lab"): False, ("lab", "db"): False}
    assert (second.returncode, second.stderr, after) == (0, "", before)
    assert (third.returncode, third.stderr) == (0, "")
    assert guests(mended) == guests(before)
    assert len(guests(before)) == 3
    assert (down.returncode, down.stderr) == (0, "")
    assert down.stdout.endswith("Nothing of the demo is left.\n")
    assert checkout_of_a_demo.processes() == {}
    assert list(NAMED.glob(f"tashi{number}-*")) == []
    assert not home.exists()
    assert list((checkout_of_a_demo.folder / "etc").iterdir()) == []
