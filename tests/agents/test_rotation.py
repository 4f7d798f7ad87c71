"""Files are rotated while the accounting daemon writes, dies or is dead: no line is lost."""

import gzip
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from agents import pursuit
from tashi.adapters.accounting.reading import FolderReader

LIVES = 12
EVENTS = list(range(1, pursuit.LAST + 1))


@contextmanager
def pursued(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon that follows the history."""
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, pursuit.__file__, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        yield process


def live_and_die(folder: Path, draws: random.Random) -> None:
    """Let it work for some events, rotate something meanwhile or not, and kill it in the middle."""
    with pursued(folder) as process:
        assert process.stdout is not None
        for _ in range(draws.randint(1, 8)):
            process.stdout.readline()
            if draws.random() < 0.3:
                rotate(folder, draws)
        process.kill()


def rotate(folder: Path, draws: random.Random) -> None:
    """Do what logrotate does with delaycompress, and at times `create`; pack complete volumes.

    The file that the daemon is at is not packed, however often one rotates: of a packed one nothing
    can be cut.
    """
    rotated = logs(folder)[:-1]
    if (folder / pursuit.LOG).exists():
        (folder / pursuit.LOG).rename(folder / f"{pursuit.LOG}.{len(rotated) + 1}")
        for path in rotated:
            if path.stat().st_ino != held(folder):
                pack(path)
    if draws.random() < 0.5:
        (folder / pursuit.LOG).touch()
    for volume in FolderReader(folder).volumes()[:-1]:
        pack(folder / volume.name)


def held(folder: Path) -> int:
    """The number of the file that the daemon writes into, or did when it died."""
    kept = folder / "outlets/log.json"
    return int(msgspec.json.decode(kept.read_bytes())["inode"]) if kept.exists() else 0


def pack(path: Path) -> None:
    """Compress a file as gzip does."""
    if path.suffix != ".gz":
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def logs(folder: Path) -> list[Path]:
    """The log's files, the oldest first."""
    rotated = [*folder.glob(f"{pursuit.LOG}.*")]
    rotated.sort(
        key=lambda path: int(path.name.removeprefix(f"{pursuit.LOG}.").removesuffix(".gz"))
    )
    return [*rotated, folder / pursuit.LOG]


def lines(folder: Path) -> list[bytes]:
    """All lines of the log, from all its files."""
    texts = [
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in logs(folder)
        if path.exists()
    ]
    return b"".join(texts).splitlines()


def journal(folder: Path) -> list[list[int]]:
    """For each volume, which event it begins before, and which it has."""
    reader = FolderReader(folder)
    found = []
    for volume in reader.volumes():
        first, *others = [msgspec.json.decode(line) for line, _ in reader.lines(volume)]
        found.append([first["next"], *(one["number"] for one in others)])
    return found


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_doubled_by_rotating_while_the_daemon_is_killed(
    tmp_path: Path, seed: int
) -> None:
    draws = random.Random(seed)
    for _ in range(LIVES):
        live_and_die(tmp_path, draws)
        for _ in range(draws.randint(0, 2)):
            rotate(tmp_path, draws)
    with pursued(tmp_path) as process:
        process.communicate()

    assert process.returncode == 0
    assert [line.split(b"|")[:2] for line in lines(tmp_path)] == [
        [b"%.1f" % pursuit.at(number), b"EVENT %d" % number] for number in EVENTS
    ]
    volumes = journal(tmp_path)
    assert [number for _, *events in volumes for number in events] == EVENTS
    assert all(after[0] == [0, *before][-1] + 1 for before, after in pairwise(volumes))
    assert len(volumes) > LIVES
