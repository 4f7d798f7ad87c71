"""How long a guest takes to move through Tashi, and is not heard meanwhile, beside a move by hand.

Usage: bench/migrate.py [--quick | --rounds N] [--output table|json] [--folder FOLDER]
       [--image IMAGE]

Two hosts are pretended on this machine (root is needed), with a switch between them. Three guests
boot with the same command line, one of Tashi's and two by hand: first with shared disks, then with
local ones. They move back and forth in turns, in every order of them, while the switch's machine
pings the one that moves.

* `by hand`: QEMU's own words in a script that waits for events: target started, disks mirrored,
  memory sent, source ended; an emulated guest stops once all of its memory has been sent;
* `hasty hand`: the same, but QEMU chooses when the guest stops, and may lose a store of an emulated
  one;
* `Tashi`: `migrateVm`, until the books say that the guest runs on the other host.

`gap ms` is the longest time without an answer to a ping, the median of all moves. `total s` is the
whole move, their mean: on a virtual machine there are two sorts of them, those whose target gets
memory that the machine has and those for which it is fetched, of which every way has its share.
Ratios are to the guest by hand; `half` is where the middle half of the moves lies, `aims` whether
both ratios are what they are to be.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, pairwise, permutations
from pathlib import Path

from instruments import daemons, report
from instruments.movers import Mover, ThroughTashi, Twin
from instruments.starters import wait_until
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Misconfigured
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState
from tashi.programs.demo.cluster import Cluster
from tashi.programs.demo.daemons import Daemons
from tashi.programs.demo.machines.lab import Lab, check_root
from tashi.programs.demo.many_hosts import ManyPlace, seats
from tashi.settings.search import FOLDERS_VARIABLE
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

BY_HAND = "by hand"
TASHI = "Tashi"
VLAN = 999
MEMORY_MIB = 128
PING_SECONDS = 0.005
QUIET_SECONDS = 0.5
FIRST_ANSWERS = 20
DEMO_GUEST = Path(__file__).resolve().parents[1] / "build/guest/tashi-guest.qcow2"
READY = re.compile(r"GUEST-READY .*address=([\d.]+)")
KINDS = {"shared": True, "local": False}
HANDS = {"hand": False, "hasty": True}
"""The twins by hand, and whether they are moved in haste."""
AIMS = {"gap ratio": 1.2, "total ratio": 1.2}


@dataclass(frozen=True, slots=True)
class Moved:
    """What one move measured."""

    gap_ms: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Subject:
    """A guest, its disks' kind, and the address at which it is heard."""

    disks: str
    mover: Mover
    address: str


def move(lab: Lab, subject: Subject) -> Moved:
    """Move it once, and listen to it before, meanwhile and after."""
    with heard(lab, subject.address) as answers:
        wait_until("the guest's answers", lambda: len(times_in(answers)) >= FIRST_ANSWERS, 0.05)
        took = subject.mover.move()
        time.sleep(QUIET_SECONDS)
        times = times_in(answers)
    return Moved(max(later - earlier for earlier, later in pairwise(times)) * 1000, took)


@contextmanager
def heard(lab: Lab, address: str) -> Iterator[Path]:
    """A ping from the switch's machine, and the file in which it writes when each answer came.

    A pipe that nobody reads meanwhile would hold it up.
    """
    ping = ["ping", "-n", "-D", "-i", str(PING_SECONDS), address]
    with tempfile.NamedTemporaryFile("w") as file:
        command = [*lab.switch.inside(), *ping]
        with subprocess.Popen(command, stdout=file, text=True) as process:
            yield Path(file.name)
            process.kill()


def times_in(answers: Path) -> list[float]:
    """When each answer came, in seconds since 1970."""
    said = answers.read_text("utf-8")
    return [float(found) for found in re.findall(r"^\[([\d.]+)\] .*bytes from", said, re.MULTILINE)]


def compare(lab: Lab, subjects: Sequence[Subject], rounds: int) -> list[list[Moved]]:
    """As many moves of each, in turns; the first of each is not counted.

    The turns are in every order one after the other, for what a target's memory costs depends on
    whose QEMU has just ended.
    """
    found: list[list[Moved]] = [[] for _ in subjects]
    orders = cycle(permutations(zip(subjects, found, strict=True)))
    for turns in islice(orders, rounds + 1):
        for subject, moves in turns:
            moves.append(move(lab, subject))
    return [moves[1:] for moves in found]


def rows(subjects: Sequence[Subject], found: Sequence[list[Moved]]) -> Iterator[report.Row]:
    """One row for each guest, beside the one by hand."""
    typical = [
        (
            report.median(one.gap_ms for one in moves),
            report.mean((one.total_s for one in moves), 3),
        )
        for moves in found
    ]
    [(hands_gap, hands_total)] = [
        both for one, both in zip(subjects, typical, strict=True) if one.mover.name == BY_HAND
    ]
    for subject, moves, (gap, total) in zip(subjects, found, typical, strict=True):
        row: report.Row = {
            "disks": subject.disks,
            "way": subject.mover.name,
            "gap ms": gap,
            "half": report.middle_half((one.gap_ms for one in moves), 0),
            "worst": round(max(one.gap_ms for one in moves), 1),
            "gap ratio": round(gap / hands_gap, 2),
            "total s": total,
            "half of totals": report.middle_half((one.total_s for one in moves), 2),
            "total ratio": round(total / hands_total, 2),
        }
        aims = AIMS if subject.mover.name == TASHI else {}
        yield {**row, "aims": report.verdict(row, at_most=aims)}


def main() -> None:
    """Measure and print."""
    options = report.command_line(__doc__)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a disk")
    options.add_argument("--image", type=Path, default=DEMO_GUEST, help="the guest's qcow2 image")
    options.add_argument("--rounds", type=int, metavar="N", help="move each guest so often")
    chosen = options.parse_args()
    rounds = chosen.rounds or (6 if chosen.quick else 24)
    try:
        check_root()
    except Misconfigured as error:
        raise SystemExit(error.message) from error
    if not chosen.image.exists():
        raise SystemExit(f"There is no {chosen.image}: run make guest.")
    with daemons.private_folder(chosen.folder) as folder, cluster(folder, chosen.image) as made:
        lab, calls = made
        table = [row for kind in KINDS for row in measured(lab, calls, kind, rounds)]
    about: report.Row = {
        "guest": f"{MEMORY_MIB} MiB, {chosen.image.name}, idle",
        "baseline": BY_HAND,
        "moves each way": rounds,
        "ping every ms": round(PING_SECONDS * 1000),
    }
    report.Report("migrate", about, table).show(chosen.output)


def measured(lab: Lab, calls: Calls, kind: str, rounds: int) -> list[report.Row]:
    """The rows of the guests with disks of that kind."""
    with guests(lab, calls, kind) as subjects:
        return list(rows(subjects, compare(lab, subjects, rounds)))


@contextmanager
def cluster(folder: Path, image: Path) -> Iterator[tuple[Lab, Calls]]:
    """Two hosts with their daemons, and an image for each guest with a shared disk."""
    (folder / "etc").mkdir()
    (folder / "build/guest").mkdir(parents=True)
    (folder / "build/guest" / DEMO_GUEST.name).symlink_to(image.resolve())
    place, commands = ManyPlace(folder), SystemCommands()
    os.environ[FOLDERS_VARIABLE] = str(place.config.parent)
    place.home.mkdir()
    lab = Lab(place.home, commands, hosts=2, keeper=os.getpid())
    try:
        lab.make()
        place.prepare_for(lab)
        for name in ("shared", *HANDS):
            (place.home / f"store/images/{name}.qcow2").write_bytes(image.read_bytes())
        Daemons(place, commands, seats(place, lab)).start()
        with closing(Cluster(place.manager_address())) as asked:
            asked.wait_for_hosts(2)
            asked.add_network(VLAN, "bench")
        with closing(Link(place.manager_address())) as link:
            yield lab, to_cluster_manager(link, Caller(Role.ADMIN, name="bench"))
    finally:
        lab.remove()


@contextmanager
def guests(lab: Lab, calls: Calls, kind: str) -> Iterator[list[Subject]]:
    """A guest of Tashi's with disks of that kind and its twins by hand, booted."""
    with ExitStack() as ended:
        instance = create(lab, calls, kind)
        ended.callback(calls.call, "destroyVm", InstanceForm, instance_id=instance)
        kept = kept_of(lab, instance)
        logs = [kept / "console.log"]
        movers: list[Mover] = [ThroughTashi(calls, instance, TASHI)]
        for hand in HANDS:
            by_hand = twin(lab, hand, kind, instance).mover(lab.hosts, kept)
            ended.callback(by_hand.end)
            logs.append(by_hand.boot())
            movers.append(by_hand)
        yield [Subject(kind, mover, ready(log)) for mover, log in zip(movers, logs, strict=True)]


def create(lab: Lab, calls: Calls, kind: str) -> int:
    """An instance that runs."""
    is_shared = KINDS[kind]
    image = "shared.qcow2" if is_shared else DEMO_GUEST.name
    wanted = NewInstanceForm(
        name=kind,
        disks=(DiskForm(image, persistent=is_shared),),
        memory=MEMORY_MIB,
        user_id=os.getuid(),
        nics=(NicForm(VLAN),),
        hints={"targetHost": lab.hosts[0].name, "allowElsewhere": "True"},
    )
    made = calls.call("createVm", InstanceForm, instance=wanted)
    wait_until("the guest to start", lambda: runs(calls, made.id), 0.05)
    return made.id


def runs(calls: Calls, instance: int) -> bool:
    """Whether the instance runs; SystemExit when its start failed."""
    found = calls.call("getInstances", tuple[InstanceForm, ...])
    record = next(one for one in found if one.id == instance)
    if record.state is InstanceState.HELD:
        raise SystemExit(f"A guest does not start: {record.reason}")
    return record.state is InstanceState.RUNNING


def kept_of(lab: Lab, instance: int) -> Path:
    """What the first host keeps of an instance."""
    return lab.hosts[0].own / "info" / str(instance)


def twin(lab: Lab, hand: str, kind: str, instance: int) -> Twin:
    """What a guest by hand has otherwise than its instance."""
    is_shared = KINDS[kind]
    images = lab.home / "mnt/images"
    image = images / ("shared.qcow2" if is_shared else DEMO_GUEST.name)
    copy = images / f"{hand}.qcow2" if is_shared else lab.home / "store/images" / image.name
    return Twin(
        instance=instance,
        name=f"{hand}-{kind}",
        own=lab.home / "own",
        image=image,
        copy=copy,
        local=not is_shared,
        hasty=HANDS[hand],
    )


def ready(log: Path) -> str:
    """The guest's address, once it has booted."""
    wait_until(
        "the guest's boot", lambda: READY.search(log.read_text("utf-8", "replace")) is not None, 0.1
    )
    found = READY.search(log.read_text("utf-8", "replace"))
    assert found is not None
    return found[1]


if __name__ == "__main__":
    main()
