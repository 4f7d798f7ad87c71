"""Acknowledged, durable `createVm` per second on the flat file, beside the disk and the transport.

Usage: bench/commands.py [--quick] [--output table|json] [--folder FOLDER]

A cluster manager runs as a process of its own, its books in a private folder on the disk; without
a scheduler, so that instances stay pending. 1, 8 and 64 connections replay `createVm`, each with an
id and a name of its own. An answer counts when it has come, and it comes after `fdatasync`. At the
end of each round the cluster manager is killed with -9 and its file read: every instance that was
acknowledged must be there.

The same in the same minute, in turns:

* `append/s`: the bytes that one creation takes in the file, appended and `fdatasync`ed one after
  the other on the same disk; `grouped/s`: as many lines with each `fdatasync` as there are clients,
  which is the most that a perfect group commit could make of them;
* `echo/s`: the same requests, sent back by the same server class over as many connections from the
  same clients; `promised/s`: the same, but answered through another thread, which is what any
  server must do whose answer waits for a commit.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from instruments import creations, daemons, report, servers
from instruments.callers import Round, call_for
from tashi.adapters.store.flatfile import FlatFile

CLIENTS = (1, 8, 64)
NOTES = (
    "creates/s: acknowledged and durable; a commit: how many of them shared one on average",
    "append/s, grouped/s: lines of the same bytes, one or as many as there are clients a sync",
    "echo/s, promised/s: the same requests sent back, at once or through another thread",
    "of …: the ratio of creates/s to the figure before it",
    "cpu us, echo's cpu, promised's: the server's processor time for each call, in microseconds",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of all sides measured."""

    created: Round
    per_commit: float
    bytes_each: int
    appended: float
    grouped: float
    echoed: Round
    promised: Round


# -- the sides


def measure(folder: Path, clients: int, seconds: float) -> Turn:
    """Let every side have its turn."""
    books = folder / "books"
    created = creations.create(folder, {"Pickled": {"file": books}}, clients, seconds)
    kept = creations.read_back(lambda: FlatFile(books), created)
    line = b"x" * (books.stat().st_size // created.calls)
    return Turn(
        created=created,
        per_commit=created.calls / kept.number,
        bytes_each=len(line),
        appended=append(folder / "appended", line, 1, seconds / 4),
        grouped=append(folder / "grouped", line, clients, seconds / 4),
        echoed=echo(servers.TASHI, clients, seconds),
        promised=echo(servers.PROMISED, clients, seconds),
    )


def append(path: Path, line: bytes, at_once: int, seconds: float) -> float:
    """Lines per second that are durable when so many at once are appended and synced."""
    lines, began = 0, time.perf_counter()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while (taken := time.perf_counter() - began) < seconds:
        os.write(fd, line * at_once)
        os.fdatasync(fd)
        lines += at_once
    os.close(fd)
    return lines / taken


def echo(kind: str, clients: int, seconds: float) -> Round:
    """Requests that come back from that server."""
    with servers.running(kind) as server:
        return call_for(seconds, server.port, creations.sources(clients), server=server.pid)


# -- the table


def row(clients: int, turns: list[Turn]) -> report.Row:
    """The figures for so many clients, and their ratios to the other sides'."""
    rate = report.median(turn.created.per_second for turn in turns)
    others = {
        "append": report.median(turn.appended for turn in turns),
        "grouped": report.median(turn.grouped for turn in turns),
        "echo": report.median(turn.echoed.per_second for turn in turns),
        "promised": report.median(turn.promised.per_second for turn in turns),
    }
    beside = {
        name: figure
        for other, theirs in others.items()
        for name, figure in (
            (f"{other}/s", round(theirs)),
            (f"of {other}", round(rate / theirs, 2)),
        )
    }
    return {
        "clients": clients,
        "creates/s": round(rate),
        "median ms": report.median((turn.created.median_ms for turn in turns), 2),
        "p99 ms": report.median((turn.created.p99_ms for turn in turns), 2),
        "a commit": report.median(turn.per_commit for turn in turns),
        "cpu us": report.median(turn.created.cpu_us for turn in turns),
        **beside,
        "echo's cpu": report.median(turn.echoed.cpu_us for turn in turns),
        "promised's": report.median(turn.promised.cpu_us for turn in turns),
    }


def main() -> None:
    """Measure and print."""
    options = report.command_line(__doc__)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a disk")
    chosen = options.parse_args()
    rounds, seconds = (3, 0.7) if chosen.quick else (9, 3.0)
    turns: dict[int, list[Turn]] = {clients: [] for clients in CLIENTS}
    with daemons.private_folder(chosen.folder) as folder:
        for number in range(rounds):
            for clients, those in turns.items():
                those.append(measure(folder / f"{number}-{clients}", clients, seconds))
    about: report.Row = {
        "books": f"flat file on {daemons.file_system_of(chosen.folder)}, {chosen.folder}",
        "durability": "fdatasync before the answer; all there after kill -9 of the manager",
        "baseline of append and grouped": "os.write and os.fdatasync in a loop",
        "baseline of echo and promised": "tashi.adapters.rpyc.server.EventedServer",
        "bytes of a creation": turns[1][0].bytes_each,
        "bytes of a request": len(next(creations.sources(1)[0])),
        "rounds": rounds,
        "seconds": seconds,
    }
    rows = [row(clients, those) for clients, those in turns.items()]
    report.Report("commands", about, rows, NOTES).show(chosen.output)


if __name__ == "__main__":
    main()
