"""Kill daemons under load, again and again, and look whether anything was lost or doubled.

    PYTHONPATH=src:tests .venv/bin/python -m system.crashes --rounds 50 [--real IMAGE] [--seed N]
        [--simulated | --libvirt]

Clients create and destroy instances all the while (`clients`), a watcher looks at /proc for two
guests of one instance (`guests`). A round kills one program: the cluster manager at a named step or
at any moment, a node manager, the scheduler, or a guest; a libvirtd alone, or with its node
manager. In the end everything acknowledged must be there and run, everything else must be gone, and
when all is destroyed nothing may be left: no process, domain, overlay, socket, note or record.
"""

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from libvirtds import Libvirtd
from system import deadly
from system.books import FILE_STEPS, Place, in_a_file
from system.clients import MEMORY_MIB, Client, Wish
from system.guests import Guest, Watcher, guests_in, processes_naming
from system.libvirt_sites import LibvirtSite
from system.ordeals import CLIENTS, Report, against_store, blows_for, have_worked, load
from system.sites import LIBVIRT, QEMU, SIMULATED, Daemon, Shape, Site
from tashi.domain.errors import NoSuchInstance
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, SnapshotForm

AT_ANY_MOMENT: Final = (
    "clustermanager",
    "nodemanager",
    "scheduler",
    "guest",
    "every daemon",
    "a silent host",
)
A_LIBVIRTD: Final = "libvirtd"
"""A blow for sites that have some."""
BLOWS: Final = (*FILE_STEPS, *deadly.LEDGER_STEPS, *AT_ANY_MOMENT)
SWAP_STEPS: Final = {step for step in FILE_STEPS if "swap" in step or "snap" in step}
EMPTY: Final = "empty.qcow2"
REAL: Final = "real.qcow2"
_NONCE: Final = re.compile(r"nonce=([0-9a-f]{16})\r?\n")
_TICK: Final = re.compile(r"GUEST-TICK (\d+) nonce=[0-9a-f]{16}\r?\n")
WORK_SECONDS: Final = 5.0
STEP_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 120.0
FORGOTTEN_SECONDS: Final = 150.0
"""A node tries again each minute to remove what its libvirtd kept."""
EXPIRE_SECONDS: Final = 6
REAL_MIB: Final = 128
SHAPE: Final = {
    "ClusterManagerService": {
        "activateTimeout": 15,
        "monitorTimeout": 15,
        "expireHostTime": EXPIRE_SECONDS,
        "eventRetention": 200,  # else the journal grows too slowly to be begun anew
    },
}


@dataclass(slots=True)
class CrashReport(Report):
    """What happened."""

    blows: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    most_guests: int = 0

    def __str__(self) -> str:
        blows = ", ".join(f"{name} {times}" for name, times in sorted(self.blows.items()))
        missed = ", ".join(f"{name} {times}" for name, times in sorted(self.missed.items()))
        lines = [
            f"killed: {blows}",
            f"steps that were not come to in time: {missed or 'none'}",
            f"requests repeated after an answer that left the outcome open: {self.told.repeats}",
            f"the watcher looked {self.looks} times and saw up to {self.most_guests} guests",
        ]
        return self.words(lines, "Nothing was lost or doubled.")


class Ordeal:
    """A site under load, the blows that it takes, and the reckoning at the end."""

    def __init__(
        self, site: Site, draws: random.Random, say: Callable[[str], object] = lambda _: None
    ) -> None:
        self.site = site
        self.report = CrashReport()
        self._draws = draws
        self._say = say
        self._real: set[int] = set()

    def go_through(self, blows: Sequence[str], real: int = 0) -> CrashReport:
        """Let these blows fall under load; then hold what is there against what was promised."""
        self._create_real(real)
        with self._load() as clients:
            for number, blow in enumerate(blows, 1):
                self._say(f"{number} of {len(blows)}: {blow}")
                self._strike(blow)
                have_worked(clients, CLIENTS + 1, WORK_SECONDS)
        self._say("the reckoning")
        self._reckon()
        return self.report

    # ---- the load -------------------------------------------------------------------------------

    @contextmanager
    def _load(self) -> Iterator[list[Client]]:
        with (
            Watcher(self.site.folder) as watcher,
            load(self.site, self._draws, Wish(image=EMPTY), self.report) as clients,
        ):
            try:
                yield clients
            finally:
                self._mend()  # or the clients would never be answered
        self.report.broken += [f"Two guests ran: {words}" for words in watcher.seen_twice]
        self.report.looks, self.report.most_guests = watcher.looks, watcher.most

    def _create_real(self, count: int) -> None:
        for number in range(count):
            wanted = NewInstanceForm(f"real-{number}", (DiskForm(REAL),), memory=REAL_MIB)
            self._real.add(self.site.calls.call("createVm", InstanceForm, instance=wanted).id)
        self.site.until(lambda now: _running(now) >= self._real)
        deadline = monotonic() + SETTLE_SECONDS
        while count and monotonic() < deadline:
            guests = guests_in(self.site.folder)
            if all(_TICK.search(guest.console()) for guest in guests):
                return
            sleep(0.2)

    # ---- the blows ------------------------------------------------------------------------------

    def _strike(self, blow: str) -> None:
        self.report.blows[blow] += 1
        match blow:
            case "clustermanager":
                self._restart(self.site.manager)
            case "scheduler":
                self._restart(self.site.scheduler)
            case "nodemanager":
                self._restart(self._draws.choice(self.site.nodes))
            case "guest":
                self._kill_a_guest()
            case "every daemon":
                self._restart(*self.site.daemons)
            case "a silent host":
                self._silence(self._draws.choice(self.site.nodes))
            case "libvirtd":
                self._end_a_libvirtd()
            case _:
                self._die_at(blow)

    def _restart(self, *daemons: Daemon) -> None:
        sleep(self._draws.uniform(0.0, 0.3))
        for daemon in daemons:
            daemon.kill()
        for daemon in self._draws.sample(daemons, len(daemons)):
            sleep(self._draws.uniform(0.0, 0.3))
            daemon.start()

    def _end_a_libvirtd(self) -> None:
        """Let one die alone; its node manager goes on."""
        assert isinstance(self.site, LibvirtSite)
        libvirtd = self._draws.choice(self.site.libvirtds)
        libvirtd.kill()
        sleep(self._draws.uniform(0.0, 0.3))
        libvirtd.start()

    def _silence(self, node: Daemon) -> None:
        """Let a node hang until it is given up, and come back with all it was about to say."""
        node.freeze()
        sleep(EXPIRE_SECONDS * 1.5)
        node.thaw()

    def _die_at(self, step: str) -> None:
        """Let a cluster manager run that dies at that step, and start a sound one after it."""
        manager = self.site.manager
        manager.kill()
        times = self._draws.randint(*((2, 3) if step in SWAP_STEPS else (1, 25)))
        manager.start((deadly.__file__, step, str(times)))
        try:
            manager.ended(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            self.report.missed[step] += 1
            manager.kill()
        manager.start()

    def _kill_a_guest(self) -> None:
        guests = [one for one in guests_in(self.site.folder) if one.instance not in self._real]
        if guests:
            self._draws.choice(guests).process.kill()

    def _mend(self) -> None:
        for daemon in self.site.daemons:
            if not daemon.is_alive():
                daemon.kill()
                daemon.start()

    # ---- the reckoning --------------------------------------------------------------------------

    def _reckon(self) -> None:
        told = self.report.told
        wanted = (told.created.keys() - told.destroyed) | self._real
        self._expect_exactly(wanted)
        self._expect_books(wanted)
        self._expect_guests(wanted)
        for instance in wanted:
            with suppress(NoSuchInstance):  # that it is lost has been said
                self.site.calls.call("destroyVm", InstanceForm, instance_id=instance)
        self._expect_exactly(set())
        self._expect_nothing_left()
        self._expect_good_ends()
        if self.report.broken:
            self.report.story = self.site.story()

    def _expect_exactly(self, wanted: set[int]) -> None:
        try:
            self.site.until(lambda now: _settled(now, wanted), SETTLE_SECONDS)
        except AssertionError:
            there = {one.id: one for one in self.site.now().instances}
            self.report.broken += [f"Instance {lost} is lost." for lost in wanted - there.keys()]
            self.report.broken += [
                f"Instance {one.id} ({one.name}) is {one.state.title} on host {one.host_id}, "
                f"{'wanted' if one.id in wanted else 'not wanted'}; it owes {one.leftovers}."
                for one in there.values()
                if one.id not in wanted or one.state is not InstanceState.RUNNING
            ]

    def _expect_books(self, wanted: set[int]) -> None:
        """Hold what the store has, read afresh, against what was acknowledged."""
        store = self.site.books.opened()
        self.report.broken += against_store(store, self.report.told, wanted)

    def _expect_guests(self, wanted: set[int]) -> None:
        if self.site.shape.vmm == SIMULATED:
            return
        guests = guests_in(self.site.folder)
        found = Counter(guest.instance for guest in guests)
        self.report.broken += [f"Instance {key} has no guest." for key in wanted - found.keys()]
        self.report.broken += [f"Guest of {key} is too many." for key in found.keys() - wanted]
        self.report.broken += [f"{n} guests of {key}." for key, n in found.items() if n > 1]
        self.report.broken += [
            f"The guest of instance {guest.instance} is {guest.status()}."
            for guest in guests
            if guest.status() != "running"
        ]
        self.report.broken += [
            words for guest in guests if guest.instance in self._real for words in _upset(guest)
        ]

    def _expect_nothing_left(self) -> None:
        # A node forgets its last notes when it has heard that its last reports are durable.
        deadline = monotonic() + FORGOTTEN_SECONDS
        while (left := self._left()) and monotonic() < deadline:
            sleep(0.05)
        self.report.broken += left

    def _left(self) -> list[str]:
        libvirtds = self.site.libvirtds if isinstance(self.site, LibvirtSite) else []
        daemons = {one.pid for one in self.site.daemons} | {one.pid for one in libvirtds}
        processes = processes_naming(self.site.folder)
        return [
            *(f"Process left: {one}" for one in processes if one.pid not in daemons),
            *(f"Domain left: {name}" for one in libvirtds for name in _domains_left(one)),
            *(f"File left: {path}" for path in _leftovers(self.site.folder)),
        ]

    def _expect_good_ends(self) -> None:
        for daemon in reversed(self.site.daemons):
            code = daemon.stop()
            if code != 0:
                self.report.broken.append(f"{daemon.name} ended with {code} when told to end.")
        with closing(self.site.books.opened()) as store:
            left = [one for one in store.load().records if isinstance(one, Instance)]
        self.report.broken += [f"Record left: {record}" for record in left]


def _settled(now: SnapshotForm, wanted: set[int]) -> bool:
    return {one.id for one in now.instances} == wanted and _running(now) == wanted


def _running(now: SnapshotForm) -> set[int]:
    return {one.id for one in now.instances if one.state is InstanceState.RUNNING}


def _leftovers(folder: Path) -> Iterator[Path]:
    """What the nodes keep that speaks of a guest."""
    for node in folder.glob("n*"):
        yield from (path for path in (node / "info").glob("*") if path.name.isdigit())
        yield from (node / "info/notes").glob("[0-9]*")
        yield from (path for path in (node / "scratch").rglob("*") if path.is_file())
    yield from folder.glob("store/suspend/*")


def _domains_left(libvirtd: Libvirtd) -> Iterator[str]:
    return (one for one in libvirtd.domains() if not libvirtd.is_never_to_come(one))


def _upset(guest: Guest) -> Iterator[str]:
    """What shows that a real guest, which nobody touched, did not simply go on."""
    console = guest.console()
    nonces = set(_NONCE.findall(console))
    ticks = [int(tick) for tick in _TICK.findall(console)]
    if len(nonces) != 1 or ticks != sorted(ticks):
        yield f"The real guest of instance {guest.instance} began anew: {nonces}, {ticks}."


def main(words: Sequence[str] | None = None) -> int:
    """Run the ordeal by hand and print its report; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description="Kill daemons under load and look what is lost.")
    parser.add_argument("--rounds", type=int, default=50, help="how many blows (50)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice")
    parser.add_argument("--hosts", type=int, default=2, help="how many node managers (2)")
    parser.add_argument("--real", type=Path, help="the demo guest's image, for two of them")
    vmm = parser.add_mutually_exclusive_group()
    vmm.add_argument("--simulated", dest="vmm", action="store_const", const=SIMULATED, default=QEMU)
    vmm.add_argument("--libvirt", dest="vmm", action="store_const", const=LIBVIRT)
    parser.add_argument("--only", nargs="+", choices=(*BLOWS, A_LIBVIRTD), help="these blows only")
    asked = parser.parse_args(words)
    kinds = asked.only or (*BLOWS, *([A_LIBVIRTD] if asked.vmm == LIBVIRT else []))
    draws = random.Random(asked.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("It was told to end."))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tashi-")))
        site = a_site(folder, vmm=asked.vmm, hosts=asked.hosts, real=asked.real)
        stack.callback(site.end)
        site.start()
        blows = blows_for(asked.rounds, draws, kinds)
        ordeal = Ordeal(site, draws, say=lambda words: sys.stderr.write(f"{words}\n"))
        report = ordeal.go_through(blows, real=2 if asked.real else 0)
    sys.stdout.write(f"{report.story}\nseed {asked.seed}\n{report}\n")
    return bool(report.broken)


def a_site(
    folder: Path,
    *,
    vmm: str,
    hosts: int,
    real: Path | None = None,
    books: Place = in_a_file,
    extra: Mapping[str, Mapping[str, object]] | None = None,
) -> Site:
    """A site with the images that an ordeal needs; not started."""
    memory = 2 * REAL_MIB + 40 * MEMORY_MIB
    kind = LibvirtSite if vmm == LIBVIRT else Site
    site = kind(
        folder,
        Shape(vmm=vmm, hosts=hosts, memory=memory, books=books, extra={**SHAPE, **(extra or {})}),
    )
    site.add_image(EMPTY)
    if real is not None:
        shutil.copyfile(real, site.images / REAL)
    return site


if __name__ == "__main__":
    sys.exit(main())
