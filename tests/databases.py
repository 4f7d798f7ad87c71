"""Private servers of MariaDB, each with a folder, a socket and a process of its own.

Nothing of the machine's own MariaDB is read or touched: the first argument of every program says
that no configuration file counts. `--innodb-log-file-size` keeps a new folder at 26 MB.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

import pymysql

import database_proxy
from ports import free_port
from tashi.adapters.store.sql.address import MYSQL, Address

START_SECONDS: Final = 60.0
_SMALL: Final = (
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--performance-schema=off",
)
_NOBODY: Final = ("nobody", "nogroup")
_AS_NOBODY: Final = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
_SOON_MISSED: Final = {
    "evs.keepalive_period": "PT0.5S",
    "evs.inactive_check_period": "PT0.5S",
    "evs.suspect_timeout": "PT2S",
    "evs.inactive_timeout": "PT5S",
}
"""How soon a node of Galera counts as dead; the first has to be less than a third of the third."""


class Server:
    """One server in that folder; started, stopped, killed and frozen as a test needs it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "s.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options
        self._data = folder / "data"

    def install(self, template: Path | None = None) -> None:
        """Make its data folder, or copy one that was made before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if template is not None:
            shutil.copytree(template, self._data, dirs_exist_ok=True)
            return
        words = [
            *("mariadb-install-db", "--no-defaults", f"--datadir={self._data}", *_as_us()),
            *("--auth-root-authentication-method=normal", "--skip-test-db", _SMALL[0]),
        ]
        made = subprocess.run(words, capture_output=True, text=True, check=False)
        assert made.returncode == 0, f"{made.stdout}\n{made.stderr}"

    @property
    def data(self) -> Path:
        """The folder with its data."""
        return self._data

    def start(self, under: Sequence[str] = (), *options: str) -> None:
        """Start it, `under` a program that runs it if one is given; returns when it answers.

        The options are for this time only.
        """
        words = [
            *under,
            *("mariadbd", "--no-defaults", f"--datadir={self._data}", *_as_us()),
            *(f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}", *_SMALL),
            *("--skip-networking", *self._options, *options),
        ]
        log = self.folder / "log"
        with log.open("ab") as lines:
            self.process = subprocess.Popen(words, stdout=lines, stderr=lines)
        deadline = monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, log.read_text()
            assert monotonic() < deadline, log.read_text()

    def answers(self) -> bool:
        """Whether it lets somebody in."""
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)) != 0:
                return False
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection of the server's root."""
        return pymysql.connect(
            user="root",
            unix_socket=str(self.socket),
            ssl_disabled=True,
            autocommit=True,
            read_timeout=START_SECONDS,
        )

    def do(self, *statements: str) -> list[tuple[object, ...]]:
        """Carry out statements; the rows of the last."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def empty(self, database: str) -> None:
        """Let there be a database of that name with nothing in it; tables that are there stay."""
        self.do(f"CREATE DATABASE IF NOT EXISTS {database}")
        there = [str(name) for (name,) in self.do(f"USE {database}", "SHOW TABLES")]
        parts_first = sorted(there, key=lambda name: "_" not in name)
        self.do(f"USE {database}", *(f"DELETE FROM {name}" for name in parts_first))

    def address(self, database: str, *, timeout: float = 5.0, port: int | None = None) -> Address:
        """The address of a database there, by its socket or by a port in front of it."""
        if port is not None:
            return Address(
                kind=MYSQL, user="root", host="127.0.0.1", port=port, database=database,
                timeout=timeout,
            )  # fmt: skip
        return Address(
            kind=MYSQL, user="root", database=database, socket=self.socket, timeout=timeout
        )

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; harmless when it does not run."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(START_SECONDS)
        self.process = None


class GaleraNode(Server):
    """One of the servers of a Galera cluster, which are at those ports.

    It does not run as root, because rsync, which copies one's data to another, would not either and
    then could not write. So everybody must be able to enter the folders that its own is in.
    """

    def __init__(self, folder: Path, port: int, ports: Sequence[int]) -> None:
        provider = {
            "base_port": port,
            "gmcast.listen_addr": f"tcp://127.0.0.1:{port}",
            "ist.recv_addr": f"127.0.0.1:{free_port()}",
            "gcache.size": "8M",
            **_SOON_MISSED,
        }
        super().__init__(
            folder,
            "--wsrep-on=ON",
            "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
            "--wsrep-cluster-name=tashi",
            f"--wsrep-cluster-address=gcomm://{','.join(f'127.0.0.1:{one}' for one in ports)}",
            f"--wsrep-node-name={folder.name}",
            f"--wsrep-node-address=127.0.0.1:{port}",
            f"--wsrep-provider-options={';'.join(f'{k}={v}' for k, v in provider.items())}",
            "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
            *("--binlog-format=ROW", "--innodb-autoinc-lock-mode=2"),
        )

    def install(self, template: Path | None = None) -> None:
        """Make its data folder, or copy one that was made before."""
        super().install(template)
        if os.geteuid() == 0:
            for path in (self.folder, self.data, *self.data.rglob("*")):
                shutil.chown(path, *_NOBODY)

    def start(self, under: Sequence[str] = (), *options: str) -> None:
        """Start it; returns when it has all that the others have."""
        super().start((*under, *(_AS_NOBODY if os.geteuid() == 0 else ())), *options)

    def answers(self) -> bool:
        """Whether it lets somebody in, and has all that the others have."""
        return super().answers() and self.do("SHOW STATUS LIKE 'wsrep_local_state_comment'") == [
            ("wsrep_local_state_comment", "Synced")
        ]


@contextmanager
def galera(template: Path) -> Iterator[Sequence[GaleraNode]]:
    """Three servers that are one Galera cluster, with data folders like that, until the block ends.

    What one of them was told, all of them have.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tashi-g")))
        folder.chmod(0o711)
        ports = [free_port() for _ in range(3)]
        nodes = [GaleraNode(folder / str(port), port, ports) for port in ports]
        for node, options in zip(nodes, [["--wsrep-new-cluster"], [], []], strict=True):
            node.install(template)
            stack.callback(node.stop)
            node.start((), *options)
        yield nodes


def empty(database: str, servers: Sequence[Server]) -> None:
    """Let one database of that name be empty on a server, or on several that are one cluster."""
    servers[0].empty(database)
    for server in servers:
        server.do("SET SESSION wsrep_sync_wait = 1", "SHOW DATABASES")


class Proxy:
    """A line to a server that breaks as told; see `database_proxy`."""

    def __init__(self, server: Server) -> None:
        self._process = subprocess.Popen(
            [sys.executable, database_proxy.__file__, str(server.socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._heard())

    def will(self, word: str) -> None:
        """Let that befall the next commit, or let what is held back go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._heard() == "ready"

    def end(self) -> None:
        """Let go of every line."""
        self._process.communicate()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _as_us() -> Sequence[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
