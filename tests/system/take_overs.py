"""Leaders are killed, frozen and cut off under load: by hand as `python -m system.take_overs`.

Two cluster managers share a database, or each has a node of a Galera cluster; two node managers
without QEMU count what they start, and clients create and destroy without pause. A blow falls on
the leader; the other takes over; the old one is let go on, and has to end by itself without having
told anybody anything. Each time somebody has to lead again as soon as is promised. In the end what
is there is held against what the clients were told, and no guest may have been started twice.
"""

import argparse
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from databases import Server, galera
from system.clients import MEMORY_MIB, Wish
from system.counted_node import STARTED
from system.ordeals import CLIENTS, Report, against_store, blows_for, have_worked, load
from system.shared_books import Manager, SharedSite
from system.sites import PATIENCE_SECONDS, SIMULATED, Shape
from tashi.adapters.store.steps import SqlStep
from tashi.domain.states import InstanceState
from tashi.wire.forms import InstanceForm, SnapshotForm

KILLED: Final = "killed"
FROZEN: Final = "frozen"
CUT_OFF: Final = "cut off from the database"
FROZEN_IN_TRANSACTION: Final = "frozen inside a transaction"
AT_STEPS: Final = {
    FROZEN_IN_TRANSACTION: SqlStep.LEASE_WRITTEN,
    "frozen before COMMIT": SqlStep.BEFORE_COMMIT,
    "frozen between commit and order": "committed",
}
BLOWS: Final = (KILLED, FROZEN, CUT_OFF, *AT_STEPS)
NODE_KILLED: Final = "bereft of its node of the database"
CLUSTER_BLOWS: Final = (*BLOWS, NODE_KILLED)
"""What may befall the leader, too, where every cluster manager has a server of its own."""
ENGINES: Final = {"mariadb": BLOWS, "galera": CLUSTER_BLOWS}
IMAGE: Final = "empty.qcow2"
REIGN_LOST: Final = 3
PROMISED_SECONDS: Final = 10.0
"""From a blow until somebody leads again."""
MISSED_SECONDS: Final = 5.0
"""How much longer Galera may take to give one of its own up: `evs.inactive_timeout` of these."""
_LOOK_SECONDS: Final = 0.05


@dataclass(slots=True)
class TakeOverReport(Report):
    """How long each take-over took, in seconds."""

    took: dict[str, list[float]] = field(default_factory=dict)
    starts: int = 0

    @property
    def times(self) -> list[float]:
        """All of the times."""
        return [one for times in self.took.values() for one in times]

    def __str__(self) -> str:
        lines = [
            *(f"{blow}: {_summary(times)}" for blow, times in sorted(self.took.items())),
            f"all: {_summary(self.times)}",
            f"{self.told.repeats} requests repeated, {self.starts} guests started",
        ]
        return self.words(lines, "Nothing was lost or started twice.")


def _summary(times: Sequence[float]) -> str:
    return (
        f"{len(times)} take-overs, median {statistics.median(times):.1f} s, "
        f"worst {max(times):.1f} s"
    )


class Ordeal:
    """A shared site under load, the blows that its leaders take, and the reckoning."""

    def __init__(
        self, site: SharedSite, draws: random.Random, allowance_seconds: float = 0.0
    ) -> None:
        """The allowance is for a machine that has much else to do."""
        self.site = site
        self.report = TakeOverReport()
        self._draws = draws
        self._promised = PROMISED_SECONDS + allowance_seconds

    def go_through(self, blows: Sequence[str]) -> TakeOverReport:
        """Let these blows fall under load; then hold what is there against what was promised."""
        with load(self.site, self._draws, Wish(image=IMAGE), self.report) as clients:
            for blow in blows:
                self._strike(blow)
                if not have_worked(clients, CLIENTS + 1, PATIENCE_SECONDS):
                    self.report.broken.append("Nothing was created after a take-over.")
        self._reckon()
        return self.report

    # ---- the blows ------------------------------------------------------------------------------

    def _strike(self, blow: str) -> None:
        old = self.site.someone_leads()
        [heir] = [one for one in self.site.managers if one is not old]
        self.site.stands_by(heir)
        sleep(self._draws.uniform(0.0, 1.0))
        began = self._befall(old, blow)
        self.site.leads(heir)
        took = monotonic() - began
        self.report.took.setdefault(blow, []).append(took)
        if took > self._promised + (MISSED_SECONDS if blow == NODE_KILLED else 0.0):
            self.report.broken.append(f"Nobody led for {took:.1f} s after one was {blow}.")
        self._come_back(old, blow)

    def _befall(self, leader: Manager, blow: str) -> float:
        """Let the blow fall; when that was."""
        if blow == KILLED:
            leader.daemon.kill()
        elif blow == FROZEN:
            leader.daemon.freeze()
        elif blow == CUT_OFF:
            leader.line.will("SILENCE")
        elif blow == NODE_KILLED:
            leader.server.kill()
        else:
            self.site.freezes_at(leader, AT_STEPS[blow])
        return monotonic()

    def _come_back(self, old: Manager, blow: str) -> None:
        """Let the old leader go on, see that it ends, and start it again as a supervisor would."""
        if blow == CUT_OFF:
            old.line.will("SPEAK")
        elif blow == NODE_KILLED:
            old.server.start()
        elif blow != KILLED:
            old.daemon.thaw()
        if blow != KILLED:
            if self.site.networks(old) is not None:
                self.report.broken.append(f"An old leader answered after it was {blow}.")
            code = old.daemon.ended()
            if code != REIGN_LOST:
                self.report.broken.append(f"An old leader ended with {code} after it was {blow}.")
        old.daemon.start()

    # ---- the reckoning --------------------------------------------------------------------------

    def _reckon(self) -> None:
        told = self.report.told
        wanted = told.created.keys() - told.destroyed
        self._expect_exactly(wanted)
        self.report.broken += against_store(self.site.books.opened(), told, wanted)
        for instance in wanted:
            self.site.calls.call("destroyVm", InstanceForm, instance_id=instance)
        self._expect_exactly(set())
        self._expect_single_starts()
        if self.report.broken:
            self.report.story = self.site.story()

    def _expect_exactly(self, wanted: set[int]) -> None:
        try:
            self.site.until(lambda now: _are_running(now, wanted), 2 * PATIENCE_SECONDS)
        except AssertionError:
            there = {one.id: one.state.title for one in self.site.now().instances}
            self.report.broken.append(f"{sorted(wanted)} should run, and there is {there}.")

    def _expect_single_starts(self) -> None:
        starts = Counter(
            int(number)
            for _, word, number in map(str.split, self.site.starts.read_text().splitlines())
            if word == STARTED
        )
        self.report.starts = starts.total()
        self.report.broken += [
            f"Instance {key} was started {count} times."
            for key, count in starts.items()
            if count > 1
        ]


def _are_running(now: SnapshotForm, wanted: set[int]) -> bool:
    states = {one.id: one.state for one in now.instances}
    return states == dict.fromkeys(wanted, InstanceState.RUNNING)


def a_site(folder: Path, *servers: Server) -> SharedSite:
    """A site with two hosts and the image that an ordeal needs; started."""
    shape = Shape(vmm=SIMULATED, hosts=2, memory=40 * MEMORY_MIB)
    site = SharedSite(folder, shape, *servers)
    site.add_image(IMAGE)
    site.start()
    return site


@contextmanager
def running(engine: str, folder: Path) -> Iterator[Sequence[Server]]:
    """The servers of that engine, until the block ends."""
    server = Server(folder / "m")
    server.install()
    if engine == "galera":
        with galera(server.data) as nodes:
            yield nodes
        return
    try:
        server.start()
        yield [server]
    finally:
        server.stop()


def main(words: Sequence[str] | None = None) -> int:
    """Run the ordeal by hand and print its report; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description="Strike leaders under load and time take-overs.")
    parser.add_argument("--engine", choices=ENGINES, default="mariadb", help="the database")
    parser.add_argument("--rounds", type=int, default=50, help="how many blows (50)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice")
    parser.add_argument("--only", nargs="+", choices=CLUSTER_BLOWS, help="these blows only")
    asked = parser.parse_args(words)
    draws = random.Random(asked.seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tashi-")))
        servers = stack.enter_context(running(asked.engine, folder))
        site = a_site(folder / "site", *servers)
        stack.callback(site.end)
        blows = blows_for(asked.rounds, draws, asked.only or ENGINES[asked.engine])
        report = Ordeal(site, draws).go_through(blows)
    sys.stdout.write(f"{report.story}\nseed {asked.seed}\n{report}\n")
    return bool(report.broken)


if __name__ == "__main__":
    sys.exit(main())
