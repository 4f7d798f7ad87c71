"""Tashi's daemons as real processes of this checkout, on a private folder, gone when done.

The folder is on a disk, because a cluster manager's figures are those of the disk that its books
are on. A folder in memory is refused.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from instruments import SOURCE

_IN_MEMORY: Final = {"tmpfs", "ramfs"}
_PATIENCE_SECONDS: Final = 30.0


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A folder of our own below that one, removed at the end."""
    if not parent.is_dir():
        raise SystemExit(f"{parent} is no folder: name one on a disk with --folder.")
    if file_system_of(parent) in _IN_MEMORY:
        raise SystemExit(f"{parent} is kept in memory: name a folder on a disk with --folder.")
    with tempfile.TemporaryDirectory(prefix="tashi-bench-", dir=parent) as folder:
        yield Path(folder)


def file_system_of(folder: Path) -> str:
    """The kind of file system that the folder is on, such as ``ext4``."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    above = {(Path(where), kind) for _, where, kind, *_ in mounts}
    here = folder.resolve()
    return max((len(where.parts), kind) for where, kind in above if here.is_relative_to(where))[1]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def processor_seconds(pid: int) -> float:
    """For how long that process has had a processor so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime


@contextmanager
def running(
    daemon: str, folder: Path, port: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The daemon with the folder's Tashi.cfg, once it listens on that port; killed with the block.

    A daemon without a port is not waited for.
    """
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE), "TASHI_CONFIG_DIRS": str(folder)}
    command = [sys.executable, "-m", f"tashi.programs.{daemon}"]
    log = folder / f"{daemon}.log"
    with log.open("ab") as words:
        process = subprocess.Popen(command, env=surroundings, stderr=words)
    try:
        if port is not None:
            _wait_until_it_listens(process, port, log)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"{log.stem} does not listen:\n{log.read_text('utf-8')}")
