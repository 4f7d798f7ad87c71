"""What the image store costs: lists, the question that createVm asks, copies and imports.

Usage: bench/images.py [--quick] [--output table|json] [--folder FOLDER]

Every figure of Tashi's stands beside a bare way to the same end on the same files in the same run:
lists beside `qemu-img info` of each image, and beside a walk that asks for every file's size; the
question whether an image is there beside one stat(2); copies and imports beside `cp` and fsync(2).
An import is the whole command, `tashi-client importImage`, to a real cluster manager. Figures are
medians over the rounds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from instruments import SOURCE, daemons, report
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.ports.commands import Leash
from tashi.ports.images import NewImage

MIB = 1 << 20
ASKED = 1000


class Unwatched:
    """Progress that nobody looks at."""

    def __init__(self) -> None:
        self.leash = Leash()

    def note(self, done: int, total: int) -> None:
        """Say nothing."""


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def repeated(act: Callable[[], object]) -> float:
    """How long it takes on average, done again and again."""
    return seconds(lambda: [act() for _ in range(ASKED)]) / ASKED


def row(what: str, ours: list[float], beside: str, theirs: list[float]) -> report.Row:
    """One case, in milliseconds."""
    mine, other = (report.median((one * 1000 for one in every), 4) for every in (ours, theirs))
    return {
        "what": what,
        "ms": round(mine, 3),
        "beside": beside,
        "its ms": round(other, 3),
        "ratio": round(mine / other, 2),
    }


def compare_lists(prefix: Path, count: int, rounds: int) -> list[report.Row]:
    """A store of so many qcow2 images: lists and the question of createVm."""
    images = fill(prefix, count)
    first, again, known, info, walk, stat = ([] for _ in range(6))
    for _ in range(rounds):
        store = ImageFolder(prefix, SystemCommands())
        ask = partial(store.has, images[0].name)
        first.append(seconds(store.images))
        info.append(seconds(partial(ask_qemu, images[:50])) * count / 50)
        again.append(seconds(store.images))
        walk.append(seconds(lambda: [one.stat() for one in images[0].parent.iterdir()]))
        known.append(repeated(ask))
        stat.append(repeated(images[0].stat))
    return [
        row(f"list {count:,} images, first time", first, "qemu-img info of each", info),
        row(f"list {count:,} images again", again, "stat of each", walk),
        row(f"whether one of {count:,} is there", known, "one stat", stat),
    ]


def fill(prefix: Path, count: int) -> list[Path]:
    """Images that are copies of one."""
    folder = prefix / "images"
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.qcow2" for number in range(count)]
    create = ["qemu-img", "create", "-q", "-f", "qcow2", str(paths[0]), "1G"]
    subprocess.run(create, check=True)
    content = paths[0].read_bytes()
    for path in paths[1:]:
        path.write_bytes(content)
    return paths


def ask_qemu(images: Sequence[Path]) -> None:
    """What qemu-img says of each of the images."""
    for image in images:
        command = ["qemu-img", "info", "-U", "--output=json", str(image)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def compare_copies(folder: Path, mebibytes: int, rounds: int) -> list[report.Row]:
    """A large file: copied within the store, and imported into it by the client."""
    prefix, source = folder / "store", folder / "large.raw"
    (prefix / "images").mkdir(parents=True)
    with source.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(MIB))
    (prefix / "images/large.raw").hardlink_to(source)
    apart = folder / "apart"  # a store has one user at a time
    (apart / "images").mkdir(parents=True)
    (apart / "images/large.raw").hardlink_to(source)
    store, port = ImageFolder(apart, SystemCommands()), daemons.free_port()
    configure(folder, prefix, port)
    copied, brought, by_hand = ([] for _ in range(3))
    with daemons.running("clustermanager", folder, port):
        for _ in range(rounds):
            by_hand.append(seconds(lambda: copy_by_hand(source, folder / "by-hand.raw")))
            new = NewImage(name="copy.raw", owner=None, replace=True)
            copied.append(seconds(partial(store.copy, "large.raw", new, Unwatched())))
            brought.append(seconds(lambda: bring_in(folder, source)))
            (prefix / "images/brought.raw").unlink()
    return [
        row(f"copy {mebibytes} MiB", copied, "cp and fsync", by_hand),
        row(f"import {mebibytes} MiB", brought, "cp and fsync", by_hand),
    ]


def configure(folder: Path, prefix: Path, port: int) -> None:
    """Where the cluster manager and its client find each other and the images."""
    (folder / "Tashi.cfg").write_text(
        f"[Client]\nclusterManagerPort = {port}\n[ClusterManagerService]\nport = {port}\n"
        f"[Pickled]\nfile = {folder}/cm.dat\n[Vfs]\nprefix = {prefix}\n",
        "utf-8",
    )


def copy_by_hand(source: Path, target: Path) -> None:
    """A copy that is on the disk."""
    subprocess.run(["cp", "--reflink=auto", str(source), str(target)], check=True)
    fd = os.open(target, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    target.unlink()


def bring_in(folder: Path, source: Path) -> None:
    """The client's whole command."""
    command = ["-m", "tashi.programs.client", "importImage", "--file", str(source)]
    subprocess.run(
        [sys.executable, *command, "--name", "brought.raw"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TASHI_CONFIG_DIRS": str(folder)},
    )


def main() -> None:
    """Measure and print."""
    options = report.command_line(__doc__)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="where to measure")
    chosen = options.parse_args()
    rounds, counts, mebibytes = (3, (100, 1000), 128) if chosen.quick else (7, (100, 10_000), 1024)
    rows: list[report.Row] = []
    for count in counts:
        with daemons.private_folder(chosen.folder) as folder:
            rows += compare_lists(folder, count, rounds)
    with daemons.private_folder(chosen.folder) as folder:
        rows += compare_copies(folder, mebibytes, rounds)
    about: report.Row = {"rounds": rounds}
    report.Report("images", about, rows).show(chosen.output)


if __name__ == "__main__":
    main()
