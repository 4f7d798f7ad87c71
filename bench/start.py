"""How long a guest takes to start through Tashi, beside the same QEMU command line by hand.

Usage: bench/start.py [--quick] [--output table|json] [--folder FOLDER] [--image IMAGE]

Every way makes the same overlay of the same image and starts the same QEMU, in turns:

* `by hand`: `qemu-img create`, the command line that Tashi wrote, `cont` over its monitor;
* `Tashi`: `createVm`, with cluster manager, scheduler and node manager as processes of their own;
* `virsh`: `qemu-img create` and `virsh start` of the domain that the next way makes;
* `Tashi + libvirt`: `createVm` in a second cluster, whose host runs guests through that libvirt.

Where no libvirt answers the last two are left out, and the table says so.

`ready s` is the time to the guest's line GUEST-READY on its serial console, with the demo guest's
image. `greeting ms` is the time to QEMU's greeting on a monitor of ours, with an empty disk, for
that needs no boot. `ratio` and `beyond ms` compare them with those by hand.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from instruments import daemons, report
from instruments.libvirt import answers, default_uri, through_virsh
from instruments.starters import (
    MEMORY_MIB,
    TASHI_AND_LIBVIRT,
    Starter,
    by_hand_like,
    cluster,
    wait_until,
)

BY_HAND = "by hand"
VIRSH = "virsh"
READY = b"GUEST-READY"
AIMS = {
    "Tashi": {"ratio": 1.1, "beyond ms": 60},
    TASHI_AND_LIBVIRT: {"to virsh": 1.1},
}
DEMO_GUEST = Path(__file__).resolve().parents[1] / "build/guest/tashi-guest.qcow2"


@dataclass(frozen=True, slots=True)
class Started:
    """What one start measured; without a time to be ready when the disk was empty."""

    greeting_ms: float
    ready_s: float = 0.0


def start(starter: Starter, image: Path, *, boots: bool) -> Started:
    """Start a guest, see it as far as it comes, and end it."""
    began = time.perf_counter()
    guest = starter.start(image)
    greeting_ms = 0.0
    try:
        with ExitStack() as stack:
            if guest.monitor is not None:
                monitor = stack.enter_context(greeted(guest.monitor))
                greeting_ms = (time.perf_counter() - began) * 1000
                guest.go(monitor)
            if not boots:
                return Started(greeting_ms)
            wait_until("the guest", lambda: says_ready(guest.console))
            return Started(greeting_ms, time.perf_counter() - began)
    finally:
        guest.end()


def says_ready(console: Path) -> bool:
    """Whether the guest has said so; its console may not be there yet."""
    return console.exists() and READY in console.read_bytes()


@contextmanager
def greeted(path: Path) -> Iterator[socket.socket]:
    """A connection to a QEMU, once it has sent its greeting there."""
    with socket.socket(socket.AF_UNIX) as monitor:
        wait_until("QEMU", lambda: monitor.connect_ex(str(path)) == 0, 0.001)
        monitor.recv(1 << 16)
        yield monitor


def compare(
    starters: list[Starter], image: Path, rounds: int, *, boots: bool
) -> dict[str, list[Started]]:
    """As many starts each way, in turns; another way goes first each time."""
    found: dict[str, list[Started]] = {starter.name: [] for starter in starters}
    for turn in range(rounds):
        first = turn % len(starters)
        for starter in starters[first:] + starters[:first]:
            found[starter.name].append(start(starter, image, boots=boots))
    return found


def rows(
    booted: dict[str, list[Started]], greeted: dict[str, list[Started]]
) -> Iterator[report.Row]:
    """One row for each way, beside the first."""
    ready = {name: report.median((one.ready_s for one in ones), 2) for name, ones in booted.items()}
    greeting = {
        name: report.median(one.greeting_ms for one in ones) for name, ones in greeted.items()
    }
    for name, seconds in ready.items():
        greets = name in greeting
        row: report.Row = {
            "way": name,
            "ready s": seconds,
            "ratio": round(seconds / ready[BY_HAND], 3),
            "to virsh": round(seconds / ready[VIRSH], 3) if VIRSH in ready else "",
            "greeting ms": greeting[name] if greets else "",
            "beyond ms": round(greeting[name] - greeting[BY_HAND], 1) if greets else "",
        }
        yield {**row, "aims": report.verdict(row, at_most=AIMS.get(name, {}))}


def main() -> None:
    """Measure and print."""
    options = report.command_line(__doc__)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a disk")
    options.add_argument("--image", type=Path, default=DEMO_GUEST, help="the guest's qcow2 image")
    chosen = options.parse_args()
    boots, greetings = (2, 10) if chosen.quick else (12, 50)
    with daemons.private_folder(chosen.folder) as folder:
        image, empty = images(folder / "images", chosen.image)
        with ways(folder, empty) as starters:
            greet = [starter for starter in starters if starter.name != TASHI_AND_LIBVIRT]
            greeted = compare(greet, empty, greetings, boots=False)
            booted = compare(starters, image, boots, boots=True)
    by_libvirt = any(starter.name == TASHI_AND_LIBVIRT for starter in starters)
    about: report.Row = {
        "guest": f"{MEMORY_MIB} MiB, {chosen.image.name}",
        "baseline": BY_HAND,
        "boots each way": boots,
        "greetings each way": greetings,
        "libvirt": default_uri() if by_libvirt else f"does not answer at {default_uri()}",
    }
    report.Report("start", about, list(rows(booted, greeted))).show(chosen.output)


def images(folder: Path, demo_guest: Path) -> tuple[Path, Path]:
    """The two images, in the cluster's folder: a guest that boots, and an empty disk."""
    if not demo_guest.exists():
        raise SystemExit(f"There is no {demo_guest}: run make guest.")
    folder.mkdir()
    image, empty = folder / "guest.qcow2", folder / "empty.qcow2"
    shutil.copyfile(demo_guest, image)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(empty), "1M"], check=True)
    return image, empty


@contextmanager
def ways(folder: Path, image: Path) -> Iterator[list[Starter]]:
    """Every way there is on this machine, by hand first."""
    with cluster(folder, folder) as tashi:
        first = tashi.start(image)
        assert first.monitor is not None
        try:
            with greeted(first.monitor):
                by_hand = by_hand_like(tashi, first.key, folder / "by-hand")
        finally:
            first.end()
        if not answers():
            yield [by_hand, tashi]
            return
        second = folder / "second"
        second.mkdir()
        with (
            cluster(second, folder, default_uri()) as through_libvirt,
            through_virsh(folder / "libvirt", through_libvirt, image) as virsh,
        ):
            yield [by_hand, tashi, virsh, through_libvirt]


if __name__ == "__main__":
    main()
