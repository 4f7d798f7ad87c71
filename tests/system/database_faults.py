"""Let everything happen to the database under load, and look whether anything was lost or doubled.

    PYTHONPATH=src:tests .venv/bin/python -m system.database_faults --rounds 40 --lasting 60

As in `crashes`, clients create and destroy instances all the while; here the blows fall on a
private MariaDB: it is killed with -9, stopped for a while, its connections are cut at any moment
and at the worst ones, its disk is full, and another session takes its locks. Meanwhile every call
has to be answered in time, with the reason; after each blow the clients have to get on, with
nobody's help. In the end the clients' log is held against the store, read afresh.
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import pymysql

from database_proxy import HALF_HAPPENS, UNKNOWN_KEPT, UNKNOWN_LOST
from databases import Proxy, Server
from system import crashes
from system.books import in_mariadb
from system.clients import Client
from system.sites import SIMULATED, Site

AWAY: Final = r"cannot be reached|connection was lost|is away|being checked|it is shutting down"
TIMEOUT_SECONDS: Final = 2
SETTINGS: Final = {"SQL": {"timeout": TIMEOUT_SECONDS}}
ANSWER_SECONDS: Final = 2 * TIMEOUT_SECONDS + 5.0
"""A call may have to wait for the commit before its own, then for its own, and for the machine."""
ROOM_MIB: Final = 128
GET_ON_SECONDS: Final = 60.0
RIVALS: Final = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the database.

    `reason` is what clients are told meanwhile, if anything; `logged` what the cluster manager says
    when it has met with it.
    """

    name: str
    reason: str = ""
    logged: str = ""


KILLED: Final = Fault("killed", AWAY)
STOPPED: Final = Fault("stopped", rf"answers too slowly|time limit|{AWAY}")
CUT: Final = Fault("every connection cut")
CUT_HALF: Final = Fault("cut within a commit", logged="nothing of it happened")
CUT_BEFORE: Final = Fault("cut before COMMIT arrives", logged=r"Commit \d+ was lost")
CUT_AFTER: Final = Fault("cut before COMMIT is answered", logged=r"Commit \d+ was kept")
FULL: Final = Fault("disk full", r"its disk is full")
DEADLOCKED: Final = Fault("deadlocked")
LOCKED: Final = Fault("locked", r"another connection holds a lock")

ANYWHERE: Final = (*(KILLED, STOPPED, CUT, CUT_HALF, CUT_BEFORE, CUT_AFTER, DEADLOCKED, LOCKED),)
"""Faults that need no small disk; a database on one loses everything when it is killed."""
ON_A_SMALL_DISK: Final = (FULL, STOPPED, DEADLOCKED, LOCKED)
_WORDS: Final = {
    CUT_HALF: HALF_HAPPENS,
    CUT_BEFORE: UNKNOWN_LOST,
    CUT_AFTER: UNKNOWN_KEPT,
}


class DatabaseOrdeal(crashes.Ordeal):
    """A site whose database takes the blows, each for so many seconds."""

    def __init__(
        self, site: Site, draws: random.Random, server: Server, proxy: Proxy, lasting: float
    ) -> None:
        super().__init__(site, draws)
        self._server = server
        self._proxy = proxy
        self._lasting = lasting
        self._clients: Sequence[Client] = ()
        self._before = Counter[str]()
        self._faults = {fault.name: fault for fault in (*ANYWHERE, FULL)}

    @contextmanager
    def _load(self) -> Iterator[list[Client]]:
        with super()._load() as clients:
            self._clients = clients
            self._get_on("the beginning")
            yield clients

    def _strike(self, blow: str) -> None:
        self.report.blows[blow] += 1
        fault = self._faults[blow]
        self._before = self._reasons()
        self._do(fault)
        self._get_on(blow)
        told = self._reasons() - self._before
        if fault.reason and not self._is_told(fault):
            self.report.broken.append(f"{blow}: nobody was told why, only {dict(told)}.")
        self.report.broken += [
            f"{blow}: {words}" for words in told if words.startswith("PeerSilent")
        ]

    def _reckon(self) -> None:
        super()._reckon()
        slowest = self.report.told.slowest
        if slowest > ANSWER_SECONDS:
            self.report.broken.append(f"An answer took {slowest:.1f} s.")

    def _reasons(self) -> Counter[str]:
        return sum((client.told.reasons for client in self._clients), Counter[str]())

    def _get_on(self, after: str) -> None:
        """Wait until every client has been answered anew."""
        answered = [len(one.told.created) + len(one.told.destroyed) for one in self._clients]
        deadline = monotonic() + GET_ON_SECONDS
        for client, before in zip(self._clients, answered, strict=True):
            while len(client.told.created) + len(client.told.destroyed) <= before:
                if monotonic() > deadline:
                    self.report.broken.append(f"{client.name} does not get on after {after}.")
                    return
                sleep(0.02)

    # ---- the faults -----------------------------------------------------------------------------

    def _do(self, fault: Fault) -> None:
        if fault in _WORDS:
            self._cut_at(fault)
            return
        {
            KILLED: self._kill,
            STOPPED: self._stop,
            CUT: self._cut,
            FULL: self._fill,
            DEADLOCKED: self._deadlock,
            LOCKED: self._lock,
        }[fault]()

    def _kill(self) -> None:
        self._server.kill()
        self._last(KILLED)
        self._server.start()

    def _stop(self) -> None:
        self._server.signal(signal.SIGSTOP)
        self._last(STOPPED)
        self._server.signal(signal.SIGCONT)

    def _cut_at(self, fault: Fault) -> None:
        """Have a commit meet with that, and wait until the cluster manager has said so."""
        log = self.site.manager.log
        met = len(re.findall(fault.logged, log.read_text()))
        self._proxy.will(_WORDS[fault])
        deadline = monotonic() + GET_ON_SECONDS
        while len(re.findall(fault.logged, log.read_text())) == met:
            if monotonic() > deadline:
                self.report.broken.append(f"{fault.name}: the cluster manager did not notice.")
                return
            sleep(0.05)

    def _cut(self) -> None:
        for number, database in self._server.do(
            "SELECT id, db FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
        ):
            if database is not None:
                with suppress(pymysql.err.MySQLError):  # it may have ended by itself
                    self._server.do(f"KILL {number}")

    def _fill(self) -> None:
        """Leave no room on the disk."""
        ballast = small_disk(self._server) / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        self._last(FULL)
        ballast.unlink()

    def _deadlock(self) -> None:
        """Take a row that comes late in a commit, then the one that comes first, and be heavier."""
        met = self._deadlocks()
        deadline = monotonic() + GET_ON_SECONDS
        with closing(self._server.connect()) as rival, rival.cursor() as cursor:
            rival.autocommit(False)
            rival.select_db("rival")
            while self._deadlocks() < met + RIVALS and monotonic() < deadline:
                with suppress(pymysql.err.OperationalError):  # it may be the rival that is undone
                    cursor.execute("INSERT INTO ballast SELECT seq FROM seq_1_to_2000")
                    cursor.execute(f"SELECT * FROM {self._database}.counters FOR UPDATE")
                    cursor.execute(f"UPDATE {self._database}.lease SET holder = holder")
                rival.rollback()
        if self._deadlocks() < met + RIVALS:
            self.report.broken.append("There were no deadlocks.")

    def _deadlocks(self) -> int:
        [(_, number)] = self._server.do("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        return int(str(number))

    def _lock(self) -> None:
        with closing(self._server.connect()) as rival, rival.cursor() as cursor:
            rival.begin()
            cursor.execute(f"SELECT * FROM {self._database}.lease FOR UPDATE")
            self._last(LOCKED)
            rival.rollback()

    def _last(self, fault: Fault) -> None:
        """Let it last for its time, and until somebody has been told."""
        sleep(self._lasting)
        deadline = monotonic() + GET_ON_SECONDS
        while not self._is_told(fault) and monotonic() < deadline:
            sleep(0.05)

    def _is_told(self, fault: Fault) -> bool:
        """Whether a client was told the reason since the fault began."""
        return any(re.search(fault.reason, words) for words in self._reasons() - self._before)

    @property
    def _database(self) -> str:
        return str(self.site.books.settings["SQL"]["uri"]).rpartition("/")[2]


def small_disk(server: Server) -> Path:
    """The small disk of a server that was started on one, as others see it."""
    assert server.process is not None
    return Path(f"/proc/{server.process.pid}/root{server.data}")


@contextmanager
def a_server(folder: Path, *, on_a_small_disk: bool) -> Iterator[tuple[Server, Proxy]]:
    """A MariaDB with a line in front of it, on a small disk that is gone when it ends if wanted."""
    server = Server(folder / "m")
    server.install()
    under: tuple[str, ...] = ()
    if on_a_small_disk:
        original = server.data.rename(folder / "original")
        server.data.mkdir()
        as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        mount = f"mount -t tmpfs -o size={ROOM_MIB}m none {server.data}"
        copied = f'{mount} && cp -a {original}/. {server.data} && exec "$0" "$@"'
        under = ("unshare", *as_root, "--mount", "sh", "-c", copied)
    server.start(under)
    server.do("CREATE DATABASE rival", "CREATE TABLE rival.ballast (a INT)")
    proxy = Proxy(server)
    try:
        yield server, proxy
    finally:
        proxy.end()
        server.kill()


def go_through(
    folder: Path, faults: Sequence[Fault], draws: random.Random, lasting: float
) -> crashes.CrashReport:
    """Let these faults befall the database of a site with simulated guests."""
    with ExitStack() as stack:
        small = FULL in faults
        server, proxy = stack.enter_context(a_server(folder, on_a_small_disk=small))
        site = crashes.a_site(
            folder / "site",
            vmm=SIMULATED,
            hosts=2,
            books=in_mariadb(server, proxy.port),
            extra=SETTINGS,
        )
        stack.callback(site.end)
        site.start()
        ordeal = DatabaseOrdeal(site, draws, server, proxy, lasting)
        return ordeal.go_through([fault.name for fault in faults])


def main(words: Sequence[str] | None = None) -> int:
    """Run the ordeal by hand and print its report; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description="Let a database have faults under load.")
    parser.add_argument("--rounds", type=int, default=40, help="how many faults of each disk (40)")
    parser.add_argument("--lasting", type=float, default=60, help="seconds that each lasts (60)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice")
    asked = parser.parse_args(words)
    draws = random.Random(asked.seed)
    broken = False
    for faults in (ANYWHERE, ON_A_SMALL_DISK):
        several = [faults[number % len(faults)] for number in range(asked.rounds)]
        draws.shuffle(several)
        with tempfile.TemporaryDirectory(prefix="tashi-") as folder:
            report = go_through(Path(folder), several, draws, asked.lasting)
        sys.stdout.write(f"{report.story}\nseed {asked.seed}\n{report}\n{reasons(report)}\n")
        broken = broken or bool(report.broken)
    return broken


def reasons(report: crashes.CrashReport) -> str:
    """What clients were told, the most frequent first."""
    return "\n".join(f"{times:6} {words}" for words, times in report.told.reasons.most_common())


if __name__ == "__main__":
    sys.exit(main())
