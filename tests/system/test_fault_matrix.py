"""Whatever dies while a guest moves, is saved or is restored, at each moment: one guest is left.

The hosts stop at named steps of QEMU's work (`stepwise`), so each blow falls between two of them
and not after a sleep. The guest counts in its memory and on its disk (`boot_sectors.count`); its
consoles are put together over all hosts. What came of every case is printed at the end, and is in
build/fault-matrix.txt.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

import boot_sectors
from system.counting import TABLES, Tally, as_table, until
from system.many_hosts import ManyHosts
from system.sites import Shape
from system.stepwise import Ambush
from tashi.domain.states import InstanceState as S
from tashi.programs.demo.machines.lab import Machine
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm, SnapshotForm

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(200)]

Matrix = list[tuple[str, ...]]

MOVE_SECONDS: Final = 8
SHAPE: Final = Shape(
    hosts=2,
    memory=512,
    extra={
        "ClusterManagerService": {
            "expireHostTime": 4,
            "activateTimeout": 10,
            "monitorTimeout": 10,
        },
        "NodeManagerService": {"registerFrequency": 1},
        "Qemu": {"migrateTimeout": MOVE_SECONDS, "monitorTimeout": 10},
    },
)
MOMENTS: Final = {
    "before": "sending",
    "standing still": "mirrored",
    "switching over": "continued",
    "after": "left",
}
"""The moments of a move: memory crosses, the vCPUs stand, QEMU was told to go on, it has left."""
SUSPENDING: Final = {"half written": "writing", "written": "written", "in its place": "kept"}
RESUMING: Final = {"half read": "reading", "read": "read", "marked as used": "used"}
HEADS: Final = ("what", "when", "who dies", "in the end", "counted", "last word")


class StepwiseHosts(ManyHosts):
    """Hosts whose node managers can be stopped at any step."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.ambush = Ambush(folder / "ambush")
        self.NODE_MANAGER = ("-m", "system.stepwise", str(folder / "ambush"))
        super().__init__(folder, shape)

    def end(self) -> list[str]:
        """Let everybody go, and end it all."""
        self.ambush.close()
        return super().end()


@dataclass(frozen=True, slots=True)
class Case:
    """One instance, where it is, and where it is to go."""

    site: StepwiseHosts
    tally: Tally
    instance: int
    source: Machine
    target: Machine

    def now(self) -> InstanceForm:
        """Its record."""
        return self.site.instances()[self.instance]

    def call(self, verb: str) -> None:
        """Ask for something to be done with it."""
        self.site.calls.call(verb, InstanceForm, instance_id=self.instance)

    def migrate(self) -> None:
        """Ask for it to be moved to the target."""
        [target] = [one.id for one in self.site.now().hosts if one.name == self.target.name]
        self.site.calls.call("migrateVm", InstanceForm, instance_id=self.instance, host_id=target)

    def until(self, *states: S) -> None:
        """Wait until it is in one of the states."""

        def there(now: SnapshotForm) -> bool:
            return any(one.id == self.instance and one.state in states for one in now.instances)

        self.site.until(there)

    def settle(self) -> str:
        """Wait for the one guest that must be left, running; where that is."""

        def one_runs() -> bool:
            found = self.tally.guests()
            return len(found) == 1 and found[0].status() == "running"

        self.until(S.RUNNING)
        until(one_runs, lambda: f"{self.now()}\n{self.tally.guests()}\n{self.site.story()}")
        self.tally.take_up()
        self.tally.goes_on()
        assert self.now().state is S.RUNNING
        return self.site.machine_of(self.instance).name

    def qemu_on(self, machine: Machine) -> None:
        """Kill its QEMU there."""
        [found] = [one for one in self.tally.guests() if one.folder.is_relative_to(machine.own)]
        found.process.kill()


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that dies; `mend` makes it whole again, `deaths` is how many guests it costs."""

    strike: Callable[[Case], object]
    mend: Callable[[Case], object] = lambda _: None
    deaths: int = 0


def _node_manager(of: Callable[[Case], Machine]) -> Blow:
    return Blow(
        lambda case: case.site.node_on(of(case)).kill(),
        lambda case: case.site.node_on(of(case)).start(),
    )


def _mend_link(case: Case) -> None:
    """Only once it has been missed."""
    case.site.until(
        lambda now: any(one.name == case.source.name and not one.up for one in now.hosts)
    )
    case.site.lab.plug(case.source)


BLOWS: Final = {
    "source node manager": _node_manager(lambda case: case.source),
    "target node manager": _node_manager(lambda case: case.target),
    "source QEMU": Blow(lambda case: case.qemu_on(case.source), deaths=1),
    "target QEMU": Blow(lambda case: case.qemu_on(case.target), deaths=1),
    "cluster manager": Blow(
        lambda case: case.site.manager.kill(), lambda case: case.site.manager.start()
    ),
    "link between": Blow(lambda case: case.site.lab.unplug(case.source), _mend_link),
}
LOCAL: Final = {
    "node manager": BLOWS["source node manager"],
    "QEMU": BLOWS["source QEMU"],
    "cluster manager": BLOWS["cluster manager"],
}


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepwiseHosts]:
    site = StepwiseHosts(tmp_path_factory.mktemp("s"), SHAPE)
    boot_sectors.count(site.images / "count.img")
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


@contextmanager
def a_case(site: StepwiseHosts, name: str) -> Iterator[Case]:
    """An instance that counts, until it is destroyed."""
    wanted = NewInstanceForm(name, (DiskForm("count.img"),), memory=32, nics=(NicForm(999),))
    key = site.calls.call("createVm", InstanceForm, instance=wanted).id
    site.until(lambda now: any(one.id == key and one.state is S.RUNNING for one in now.instances))
    source = site.machine_of(key)
    [target] = [one for one in site.lab.hosts if one != source]
    case = Case(site, Tally(site.folder, site.folder / "kept", key), key, source, target)
    case.tally.take_up()
    case.tally.goes_on(2)
    yield case
    case.call("destroyVm")
    site.until(lambda now: all(one.id != key for one in now.instances))
    assert case.tally.guests() == []


@pytest.fixture(scope="module")
def matrix(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """What came of every case, printed when all are over."""
    rows: Matrix = []
    yield rows
    table = as_table("What is left of a guest", HEADS, sorted(rows, key=lambda row: row[0]))
    folder = checkout / "build"
    folder.mkdir(exist_ok=True)
    (folder / "fault-matrix.txt").write_text(table + "\n")
    request.config.stash.setdefault(TABLES, []).append(table)


def ambushed(case: Case, step: str, begin: Callable[[], None], blow: Blow) -> None:
    """Begin something, strike when a host has come to that step, and mend what was struck."""
    ambush = case.site.ambush
    ambush.lie_in_wait(step, case.source.name, case.target.name)
    begin()
    caught = ambush.wait()
    here = next(one for one in case.site.lab.hosts if one.name == caught)
    there = case.target if here == case.source else case.source
    case.tally.take_up()
    blow.strike(replace(case, source=here, target=there))
    ambush.release()
    blow.mend(replace(case, source=here, target=there))


def close_the_row(matrix: Matrix, case: Case, what: tuple[str, str, str], deaths: int = 0) -> None:
    """Wait for the end, add it to the matrix, and look whether the guest has counted all along."""
    place = case.settle()
    numbers, side = case.tally.numbers(), "first" if place == case.source.name else "other"
    counted = f"{numbers[0]}-{numbers[-1]}"
    matrix.append((*what, f"one guest, on the {side} host", counted, case.now().reason[:70]))
    assert case.tally.faults(deaths) == [], what


@pytest.mark.parametrize("who", BLOWS)
def test_a_guest_that_moves_is_left_once(who: str, site: StepwiseHosts, matrix: Matrix) -> None:
    for moment, step in MOMENTS.items():
        with a_case(site, step) as case:
            ambushed(case, step, case.migrate, BLOWS[who])
            close_the_row(matrix, case, ("move", moment, who), BLOWS[who].deaths)


@pytest.mark.parametrize("who", LOCAL)
def test_a_guest_that_is_saved_is_left_once(who: str, site: StepwiseHosts, matrix: Matrix) -> None:
    for moment, step in SUSPENDING.items():
        with a_case(site, step) as case:
            ambushed(case, step, lambda: case.call("suspendVm"), LOCAL[who])
            case.until(S.SUSPENDED, S.RUNNING)
            if case.now().state is S.SUSPENDED:
                case.call("resumeVm")
            close_the_row(matrix, case, ("suspend", moment, who), LOCAL[who].deaths)


@pytest.mark.parametrize("who", LOCAL)
def test_a_guest_that_is_restored_is_left_once(
    who: str, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in RESUMING.items():
        with a_case(site, step) as case:
            case.call("suspendVm")
            case.until(S.SUSPENDED)
            ambushed(case, step, lambda: case.call("resumeVm"), LOCAL[who])
            close_the_row(matrix, case, ("resume", moment, who), LOCAL[who].deaths)


@contextmanager
def full(site: StepwiseHosts, folder: str) -> Iterator[None]:
    """A folder of every host that has no room for anything meanwhile."""
    place = str(site.folder / folder)
    for host in site.lab.hosts:
        host.run("mount", "-t", "tmpfs", "-o", "size=4k", "full", place)
    yield
    for host in site.lab.hosts:
        host.run("umount", "--lazy", place)


def test_a_full_disk_leaves_a_guest_that_is_to_be_saved_running(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "full") as case:
        with full(site, "mnt/suspend"):
            case.call("suspendVm")
            case.until(S.RUNNING)
            words = case.now().reason
        close_the_row(matrix, case, ("suspend", "writing", "full disk"))

    assert "was not suspended" in words


def test_a_full_disk_holds_a_guest_that_is_to_be_restored(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "full") as case:
        case.call("suspendVm")
        case.until(S.SUSPENDED)
        # A mount hides what is still on the host, so its disks must be in the store by now.
        site.until(lambda now: any(one.id == case.instance and one.stored for one in now.instances))
        with full(site, "own/scratch"):
            case.call("resumeVm")
            case.until(S.HELD)
            words = case.now().reason
        close_the_row(matrix, case, ("resume", "making disks", "full disk"))

    assert "cannot be" in words
