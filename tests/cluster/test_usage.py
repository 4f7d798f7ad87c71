"""Usage of a thousand instances that live at random, held against an independent reckoning.

Hosts fall silent, come back or are rebooted, the cluster manager and the accounting daemon are
killed, and the clock runs for weeks.
"""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

import usage_by_hand
from cluster.cluster import Cluster
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.agents.follower import Follower
from tashi.agents.usage import account
from tashi.client.sheets import row_of
from tashi.domain.errors import TashiError
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.wire.forms import DiskForm, EventsForm, InstanceForm, NewInstanceForm, NicForm

INSTANCES = 1000
ALIVE = 24
USERS = [UserId(number) for number in (1000, 1001, 1002)]
VERBS = (
    *("pauseVm", "unpauseVm", "suspendVm", "resumeVm", "stopVm", "startVm"),
    *("shutdownVm", "destroyVm", "migrateVm", "resizeVm", "attachNic"),
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


class Weeks:
    """A cluster to which things happen at random, and the journal of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draws = Random(seed)
        self.cluster = Cluster()
        self.folder = folder
        self.journal = FolderWriter(folder)
        self.created = 0
        self.events: list[bytes] = []
        self.heard = 1
        for number in range(4):
            self.cluster.add_node(f"h{number}", memory=8192, cores=16)
        self.cluster.settle()
        self.begins_to_follow()

    def begins_to_follow(self) -> None:
        """The accounting daemon is started, after a kill or for the first time."""
        self.journal.close()
        self.journal = FolderWriter(self.folder)
        calls = self.cluster.calls(role=Role.AGENT)
        volume_bytes = self.draws.choice([50_000, 500_000])
        self.follower = Follower(calls, self.journal, self.cluster.clock, volume_bytes)

    def follow(self) -> None:
        """The accounting daemon writes down some of what happened."""
        for _ in range(self.draws.randint(1, 3)):
            self.follower.turn()

    def live(self) -> None:
        """Let everything happen until all instances have been created."""
        while self.created < INSTANCES:
            self.step()
            self.listen()
        while self.journal.next() != self.cluster.manager.ledger.published.next_event:
            self.follower.turn()

    def step(self) -> None:
        """Something happens, and some time passes."""
        alive = sorted(self.cluster.manager.ledger.books.instances)
        if len(alive) < ALIVE:
            self.create()
        elif self.draws.random() < 0.02:
            self.mishap()
        else:
            for key in self.draws.sample(alive, 3):
                self.command(key)
        if self.draws.random() < 0.3:
            self.cluster.settle()
        if self.draws.random() < 0.3:
            self.follow()
        self.cluster.clock.turn(self.draws.choice([0.25, 1.0, 7.5, 3600.125, 40_000.0]))

    def create(self) -> None:
        for _ in range(self.draws.randint(1, 6)):
            wanted = NewInstanceForm(
                name=f"i{self.created}",
                disks=(DiskForm("web.qcow2"),),
                cores=self.draws.randint(1, 3),
                memory=self.draws.choice([128, 512, 1000]),
            )
            self.created += 1
            owner = self.cluster.calls(self.draws.choice(USERS))
            owner.call("createVm", InstanceForm, instance=wanted)

    def command(self, key: int) -> None:
        verb = self.draws.choice(VERBS)
        more: dict[str, dict[str, Any]] = {
            "migrateVm": {"host_id": self.draws.randint(1, 4)},
            "resizeVm": {"cores": self.draws.randint(1, 3), "memory": 256},
            "attachNic": {"nic": NicForm(1)},
        }
        root = self.cluster.calls(UserId(0), Role.ADMIN)
        with suppress(TashiError):
            root.call(verb, InstanceForm, instance_id=key, **more.get(verb, {}))

    def mishap(self) -> None:
        node = self.draws.choice(list(self.cluster.nodes.values()))
        what = self.draws.choice(["silence", "reboot", "manager", "accounting"])
        if what == "silence":
            node.uplink.cut = node.wire.cut = True
            self.cluster.let_pass(33.0)
            node.uplink.cut = node.wire.cut = False
            self.cluster.let_pass(3.0)
        elif what == "reboot":
            node.reboot(self.created)
            node.start()
        elif what == "manager":
            self.cluster.kill_manager()
            self.cluster.start_manager()
            self.begins_to_follow()
        else:
            self.begins_to_follow()

    def listen(self) -> None:
        """Keep the events as a client of `watch` prints them."""
        news = self.cluster.calls().call("watch", EventsForm, since=self.heard, timeout=0.0)
        self.events += [msgspec.json.encode(row_of(one)) for one in news.events]
        self.heard = news.next


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    made = Weeks(tmp_path_factory.mktemp("journal"), seed=20_262)
    made.live()
    made.journal.close()
    return made


def by_hand(weeks: Weeks, begin: float, end: float) -> dict[str, list[float]]:
    reckoned = subprocess.run(
        [sys.executable, "-I", "-S", usage_by_hand.__file__, str(begin), str(end)],
        input=b"\n".join(weeks.events),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(reckoned.stdout)
    return found


@pytest.mark.parametrize("part", [(0.0, 1.0), (0.1, 0.15), (0.5, 0.51), (0.9, 1.0), (0.3, 2.0)])
def test_usage_agrees_with_an_independent_reckoning(
    weeks: Weeks, part: tuple[float, float]
) -> None:
    began, ended = 1_700_000_000.0, weeks.cluster.clock.wall()
    begin, end = (began + share * (ended - began) for share in part)

    found = account(FolderReader(weeks.folder), begin, end)

    reckoned = by_hand(weeks, begin, end)
    assert {str(user) for user in found.used} == set(reckoned)
    for user, used in found.used.items():
        sums = used.instance_seconds, used.core_seconds, used.memory_seconds
        assert [used.instances, *sums] == pytest.approx(reckoned[str(user)], rel=0, abs=0.01)
    assert found.gaps == ()


def test_the_history_was_worth_reckoning(weeks: Weeks) -> None:
    said = b"\n".join(weeks.events)

    assert weeks.created >= INSTANCES
    assert len(list(weeks.folder.glob("*.jsonl"))) > 5
    for state in (*usage_by_hand.PAID, "Orphaned", "Suspended", "Stopped", "Destroying"):
        assert b'"state":"%s"' % state.encode() in said, state
