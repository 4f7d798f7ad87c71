"""What the fault matrix strikes with: a guest that counts, hosts that stop at steps, and blows.

The hosts stop at named steps of QEMU's work (`stepwise`), so each blow falls between two of them
and not after a sleep. The guest counts in its memory and on its disk (`boot_sectors.count`); its
consoles are put together over all hosts. All the time somebody looks whether two of it run.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGABRT
from typing import Final, TypeVar

import pytest

import boot_sectors
from system.counting import TABLES, Tally, as_table, until
from system.guests import Guest, Watcher
from system.many_hosts import ManyHosts
from system.sites import Shape
from system.stepwise import Ambush
from tashi.domain.instance import PORTS
from tashi.domain.states import InstanceState as S
from tashi.programs.demo.machines.lab import Machine
from tashi.wire.answers import WhyForm
from tashi.wire.forms import (
    DiskForm,
    HostForm,
    InstanceForm,
    NewInstanceForm,
    NicForm,
    SnapshotForm,
)

Matrix = list[tuple[str, ...]]

HEADS: Final = ("what", "under", "when", "who dies", "in the end", "counted", "last word")
MORE: Final = "more.img"
"""The image of the disk that is plugged in."""
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
    },
)


class StepwiseHosts(ManyHosts):
    """Hosts whose node managers can be stopped at any step."""

    under = "QEMU"
    """What runs their guests, for the matrix."""
    move_seconds = 8
    """How long a move may take: some cells wait for that."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        limits = {"migrateTimeout": self.move_seconds, "monitorTimeout": 10}
        self.ambush = Ambush(folder / "ambush")
        self.NODE_MANAGER = ("-m", "system.stepwise", str(folder / "ambush"))
        super().__init__(folder, replace(shape, extra={**shape.extra, "Qemu": limits}))

    def end(self) -> list[str]:
        """Let everybody go, and end it all."""
        self.ambush.close()
        return super().end()


Hosts = TypeVar("Hosts", bound=StepwiseHosts)


@contextmanager
def stepwise_hosts(make: Callable[[Path, Shape], Hosts], folder: Path) -> Iterator[Hosts]:
    """Two hosts, with the images that guests of these cases have."""
    site = make(folder, SHAPE)
    boot_sectors.count(site.images / "count.img")
    boot_sectors.idle(site.images / MORE)
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


@contextmanager
def printed(title: str, file: Path, config: pytest.Config) -> Iterator[Matrix]:
    """Rows that are printed when all tests are over, and are kept in that file."""
    rows: Matrix = []
    yield rows
    table = as_table(title, HEADS, sorted(rows, key=lambda row: row[0]))
    file.parent.mkdir(exist_ok=True)
    file.write_text(table + "\n")
    config.stash.setdefault(TABLES, []).append(table)


@dataclass(frozen=True, slots=True)
class Case:
    """One instance, where it is, and where it is to go; `caught` is the host that was waited for.

    `watcher` has looked from the beginning; `image` is the disk where that is persistent.
    """

    site: StepwiseHosts
    tally: Tally
    watcher: Watcher
    image: Path | None
    instance: int
    source: Machine
    target: Machine
    caught: Machine

    def now(self) -> InstanceForm:
        """Its record."""
        return self.site.instances()[self.instance]

    def does(self, verb: str) -> str:
        """What is done with it, for the matrix."""
        return verb if self.image is None else f"{verb}, persistent disk"

    def aborts(self) -> int:
        """How often its QEMU ended itself: 7.2 may, with its heap damaged, when a mirror is cut."""
        words = rf"instance {self.instance} .*Its QEMU ended with signal {SIGABRT:d}:"
        return len(re.findall(words, self.site.manager.log.read_text()))

    def saved_bytes(self) -> int:
        """How long the file with its saved memory is."""
        return (self.site.images.parent / f"suspend/{self.now().saved}").stat().st_size

    def call(self, verb: str) -> None:
        """Ask for something to be done with it."""
        self.site.calls.call(verb, InstanceForm, instance_id=self.instance)

    def migrate(self) -> None:
        """Ask for it to be moved to the target."""
        [target] = [one.id for one in self.site.now().hosts if one.name == self.target.name]
        self.site.calls.call("migrateVm", InstanceForm, instance_id=self.instance, host_id=target)

    def why(self) -> str:
        """Why it is where it is."""
        return self.site.calls.call("why", WhyForm, instance_id=self.instance).words

    def plug_a_card_in(self) -> None:
        """Ask for one more network card."""
        card = NicForm(999)
        self.site.calls.call("attachNic", InstanceForm, instance_id=self.instance, nic=card)

    def take_a_card_out(self) -> None:
        """Ask for the card back that was plugged in."""
        mac = self.now().nics[-1].mac
        self.site.calls.call("detachNic", InstanceForm, instance_id=self.instance, mac=mac)

    def plug_a_disk_in(self) -> None:
        """Ask for one more disk."""
        disk = DiskForm(MORE)
        self.site.calls.call("attachDisk", InstanceForm, instance_id=self.instance, disk=disk)

    def take_a_disk_out(self) -> None:
        """Ask for the disk back that was plugged in."""
        self.site.calls.call("detachDisk", InstanceForm, instance_id=self.instance, uri=MORE)

    def cards(self) -> int:
        """How many network cards its guest has on the host where the books say that it is."""
        listed = self.site.machine_of(self.instance).run("ip", "-o", "link")
        return listed.count(f": tashi{self.instance}.")

    def check_devices(self) -> None:
        """See that its QEMU, and its host, have the devices that the books say and no others."""
        now, [guest] = self.now(), self.tally.guests()
        disks = {f"plug{disk.port}" for disk in now.disks if disk.port}
        cards = {f"nic{nic.port}" for nic in now.nics if nic.port}
        ports = {f"{kind}{number}" for kind in ("plug", "nic") for number in range(1, PORTS + 1)}
        overlays = self.site.machine_of(self.instance).own.glob(f"scratch/*/{self.instance}.*")
        assert guest.devices() & ports == disks | cards, f"{now}\n{self.site.story()}"
        assert self.cards() == len(now.nics), f"{now}\n{self.site.story()}"
        assert len([*overlays]) == len(now.disks), f"{now}\n{self.site.story()}"

    def check_image(self) -> None:
        """See that its persistent disk, if it has one, says what it said last before it ended."""
        if self.image is not None:
            on_disk, said = boot_sectors.number_in(self.image), self.tally.numbers()[-1]
            assert on_disk - said in {0, 1}, f"{on_disk} is not {said}, or the one after it."

    def until_stored(self) -> None:
        """Wait until the image store has its disks."""
        self.site.until(
            lambda now: any(one.id == self.instance and one.stored for one in now.instances)
        )

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

    def runs_on(self, machine: Machine) -> bool:
        """Whether it has a guest there whose vCPUs run, whatever the books say."""
        return any(one.status() == "running" for one in self.on(machine))

    def on(self, machine: Machine) -> list[Guest]:
        """Its guest there, if it has one."""
        return [one for one in self.tally.guests() if one.folder.is_relative_to(machine.own)]

    def qemu_on(self, machine: Machine) -> None:
        """Kill its QEMU there."""
        [found] = self.on(machine)
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


def _part(case: Case) -> None:
    """No word goes from one host to the other; the cluster manager reaches both."""
    case.source.run("ip", "route", "add", "blackhole", case.target.address)
    case.target.run("ip", "route", "add", "blackhole", case.source.address)


def _join(case: Case) -> None:
    """Only once the cluster manager has made the best of it."""
    case.until(S.RUNNING)
    case.source.run("ip", "route", "delete", "blackhole", case.target.address)
    case.target.run("ip", "route", "delete", "blackhole", case.source.address)


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
    "source's cable": Blow(lambda case: case.site.lab.unplug(case.source), _mend_link),
    "the hosts from each other": Blow(_part, _join),
}


def _bury(case: Case) -> None:
    """The source's host is lost with all that is on it, and an administrator says so."""
    site = case.site
    site.lab.unplug(case.source)
    site.node_on(case.source).kill()
    for guest in case.on(case.source):  # under libvirt it is gone already when it has left
        guest.process.kill()
    site.until(lambda now: any(one.name == case.source.name and not one.up for one in now.hosts))
    [dead] = [one.id for one in site.now().hosts if one.name == case.source.name]
    site.calls.call("declareHostDead", HostForm, host_id=dead)


def _rise(case: Case) -> None:
    """The host that was declared dead is back, with all that it had."""
    case.until(S.RUNNING)
    case.site.lab.plug(case.source)
    case.site.node_on(case.source).start()
    case.site.until(lambda now: all(one.up for one in now.hosts))


DECLARED_DEAD: Final = Blow(_bury, _rise, deaths=1)
LOCAL: Final = {
    "node manager": _node_manager(lambda case: case.caught),
    "QEMU": Blow(lambda case: case.qemu_on(case.caught), deaths=1),
    "cluster manager": BLOWS["cluster manager"],
}


@contextmanager
def a_case(site: StepwiseHosts, name: str, *, persistent: bool = False) -> Iterator[Case]:
    """An instance that counts, until it is destroyed; `persistent`: on an image of its own."""
    image = site.images / (f"kept-{name}.img" if persistent else "count.img")
    if persistent:
        boot_sectors.count(image)
    disk = DiskForm(image.name, persistent=persistent)
    wanted = NewInstanceForm(name, (disk,), memory=32, nics=(NicForm(999),))
    with Watcher(site.folder) as watcher:
        key = site.calls.call("createVm", InstanceForm, instance=wanted).id
        site.until(
            lambda now: any(one.id == key and one.state is S.RUNNING for one in now.instances)
        )
        source = site.machine_of(key)
        [target] = [one for one in site.lab.hosts if one != source]
        tally = Tally(site.folder, site.folder / "kept", key)
        kept = image if persistent else None
        case = Case(site, tally, watcher, kept, key, source, target, source)
        case.tally.take_up()
        case.tally.goes_on(2)
        yield case
        case.call("destroyVm")
        site.until(lambda now: all(one.id != key for one in now.instances))
    assert case.tally.guests() == []
    assert watcher.seen_twice == []
    assert watcher.looks
    case.check_image()


def ambushed(case: Case, step: str, begin: Callable[[], None], blow: Blow) -> None:
    """Begin something, strike when a host has come to that step, and mend what was struck."""
    ambush = case.site.ambush
    ambush.lie_in_wait(step, case.source.name, case.target.name)
    begin()
    try:
        caught = ambush.wait()
    except AssertionError as nobody:
        raise AssertionError(f"{nobody}\n{case.site.story()}") from nobody
    struck = replace(case, caught=next(one for one in case.site.lab.hosts if one.name == caught))
    case.tally.take_up()
    blow.strike(struck)
    ambush.release()
    blow.mend(struck)


def arrives_alone(case: Case, step: str) -> None:
    """Move it, without a cluster manager from that step on until it has run there for a while."""
    site = case.site
    site.ambush.lie_in_wait(step, case.source.name)
    case.migrate()
    site.ambush.wait()
    site.manager.kill()
    case.tally.take_up()
    site.ambush.release()
    until(lambda: case.runs_on(case.target), site.story)
    case.tally.take_up()
    case.tally.goes_on()
    site.manager.start()


def close_the_row(matrix: Matrix, case: Case, what: tuple[str, str, str], deaths: int = 0) -> str:
    """Wait for the end, add it to the matrix, and look whether the guest has counted all along.

    Returns where it is.
    """
    place = case.settle()
    numbers, side = case.tally.numbers(), "first" if place == case.source.name else "other"
    counted = f"{numbers[0]}-{numbers[-1]}"
    did, *when_and_who = what
    row = (did, case.site.under, *when_and_who)
    matrix.append((*row, f"one guest, on the {side} host", counted, case.now().reason[:70]))
    assert case.tally.faults(deaths + case.aborts()) == [], row
    assert case.watcher.seen_twice == [], row
    return place


@contextmanager
def full(site: StepwiseHosts, folder: str, room_bytes: int = 4096) -> Iterator[None]:
    """A folder of every host that has no room for more than that meanwhile."""
    place = str(site.folder / folder)
    for host in site.lab.hosts:
        host.run("mount", "-t", "tmpfs", "-o", f"size={room_bytes}", "full", place)
    try:
        yield
    finally:
        for host in site.lab.hosts:
            host.run("umount", "--lazy", place)
