"""A private cluster on this machine: real daemons in a folder of its own, on free ports.

Everything a site starts has the site's folder in its command line or its environment, so whatever
is left of it can be found in /proc and ended, however the daemons and guests came to be. A daemon
is ready when the cluster manager says so; nobody waits for lines in a log.

`Site.end` stops the daemons, ends every QEMU of the site, and says what it had to end.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from certificates import Office
from ports import free_port
from system.books import Place, in_a_file
from system.guests import processes_naming
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import EventsForm, InstanceForm, SnapshotForm

PATIENCE_SECONDS: Final = 60.0
PROGRAMS: Final = {
    "clustermanager": ("-m", "tashi.programs.clustermanager"),
    "nodemanager": ("-m", "tashi.programs.nodemanager"),
    "scheduler": ("-m", "tashi.programs.scheduler"),
    "accounting": ("-m", "tashi.programs.accounting"),
}
SIMULATED: Final = "tashi.nodemanager.vmcontrol.Simulated"
QEMU: Final = "tashi.nodemanager.vmcontrol.Qemu"
LIBVIRT: Final = "tashi.nodemanager.vmcontrol.Libvirt"
GETENT: Final = "tashi.clustermanager.data.GetentOverride"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a site is to be like; each host has its memory (MiB) and cores, or all there are."""

    vmm: str = QEMU
    hosts: int = 1
    memory: int | None = 4096
    cores: int | None = 64
    secure: bool = False
    """Whether authAndEncrypt is set; this process is root then, by certificate."""
    books: Place = in_a_file
    extra: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def environment(*configuration: Path) -> dict[str, str]:
    """This process's environment, with only these folders of configuration and our own code."""
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TASHI_")}
    folders = ":".join(map(str, configuration))
    return {**kept, "PYTHONPATH": paths, "TASHI_CONFIG_DIRS": folders}


class Companion(Protocol):
    """What is started before a daemon, and killed with it."""

    def start(self) -> None:
        """Start it, unless it runs."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...


class Daemon:
    """One program of a site: started, killed and started again; its log goes on in one file."""

    companion: Companion | None = None

    def __init__(self, name: str, command: Sequence[str], log: Path, *configuration: Path) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = environment(*configuration)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str] = (), under: Sequence[str] = ()) -> None:
        """Start it; as another Python program if one is given, and `under` one that runs it."""
        assert self._process is None, f"{self.name} runs already."
        if self.companion is not None:
            self.companion.start()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*under, sys.executable, *(command or self._command)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def another(self) -> "Daemon":
        """A second one in the same place, not started yet."""
        other = copy(self)
        other._process = None
        return other

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None, f"{self.name} does not run."
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def freeze(self) -> None:
        """Let it hang until it is thawed."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)
        if self.companion is not None:
            self.companion.kill()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        return self._end(signal.SIGTERM)

    def ended(self, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it has ended by itself; its exit code, negative for a signal."""
        assert self._process is not None
        code = self._process.wait(within_seconds)
        self._process = None
        return code

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        return self.ended()


class Site:
    """A cluster manager, a scheduler and some node managers, with what they write in `folder`."""

    address = "127.0.0.1"
    """Where its cluster manager listens."""
    who = "root"
    """Whom our own certificate names, where everybody has one."""

    def __init__(self, folder: Path, shape: Shape | None = None) -> None:
        self.folder = folder
        self.shape = shape or Shape()
        self.port = free_port()
        self.configuration = folder / "etc"
        self.images = folder / "store/images"
        self.books = self.shape.books(folder)
        self.images.mkdir(parents=True)
        self.office = Office(folder) if self.shape.secure else None
        write(self.configuration / "Tashi.cfg", self._settings())
        self.manager = self._daemon("clustermanager")
        self.scheduler = self._daemon("scheduler")
        self.accounting = self._daemon("accounting")
        self.nodes = tuple(self._node(number) for number in range(1, self.shape.hosts + 1))
        self._secrets = self._proven() if self.shape.secure else None
        self._link = self._new_link()
        self.calls = to_cluster_manager(self._link, Caller(Role.USER, UserId(os.getuid()), "test"))

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """Every daemon that a cluster needs, the cluster manager first."""
        return (self.manager, self.scheduler, *self.nodes)

    def start(self) -> None:
        """Start everything, and wait until all hosts are up; else nothing of it goes on."""
        try:
            for daemon in self.daemons:
                daemon.start()
            self.until(lambda now: sum(host.up for host in now.hosts) == self.shape.hosts)
        except BaseException:
            self.end()
            raise

    def end(self) -> list[str]:
        """Stop what runs, end every QEMU; what is listed should not have been there."""
        self._link.close()
        for daemon in (self.accounting, *self.nodes, self.scheduler, self.manager):
            daemon.kill()
        left = list(processes_naming(self.folder))
        for process in left:
            process.kill()
        return [str(process) for process in left]

    def empty(self) -> None:
        """Destroy every instance, and wait until nothing of them is left on a host."""
        for instance in self.instances():
            self.calls.call("destroyVm", InstanceForm, instance_id=instance)
        self.until(lambda now: not now.instances)

    def end_empty(self) -> None:
        """End all, instances first; nothing may be left over."""
        self.empty()
        assert not self.end(), self.story()

    def add_image(self, name: str, size: str = "1M") -> None:
        """Put an empty image into the store: a guest of it stays in its firmware."""
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", self.images / name, size], check=True
        )

    # ---- asking ---------------------------------------------------------------------------------

    def calls_of(self, link: Link | LeaderLink) -> Calls:
        """Calls as this user over another link."""
        return to_cluster_manager(link, self.calls.who)

    def another_link(self) -> "closing[Link | LeaderLink]":
        """A way of one's own to the cluster manager."""
        return closing(self._new_link())

    def now(self) -> SnapshotForm:
        """Every record as it stands, once a cluster manager answers."""
        return self.calls.call("getSnapshot", SnapshotForm)

    def instances(self) -> dict[int, InstanceForm]:
        """The instances that are not over, by id."""
        return {one.id: one for one in self.calls.call("getInstances", tuple[InstanceForm, ...])}

    def until(
        self, holds: Callable[[SnapshotForm], bool], within_seconds: float = PATIENCE_SECONDS
    ) -> SnapshotForm:
        """Follow the events until something holds of the books; fails when it does not in time."""
        deadline = monotonic() + within_seconds
        for snapshot in self._snapshots(deadline):
            if holds(snapshot):
                return snapshot
        raise AssertionError(f"It did not happen within {within_seconds:g} s.\n{self.story()}")

    def _snapshots(self, deadline: float) -> Iterator[SnapshotForm]:
        while monotonic() < deadline:
            try:
                snapshot = self.now()
                yield snapshot
                left = min(5.0, max(0.0, deadline - monotonic()))
                self.calls.call("watch", EventsForm, since=snapshot.next, timeout=left)
            except (PeerSilent, NotLeader):
                continue  # it is being started again; the call itself has waited

    def run(self, program: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of the clients against this site."""
        return subprocess.run(
            self._client_command(program, *words),
            env={**self._around_clients(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS * 2,
        )

    def first_lines(self, count: int, program: str, *words: str) -> list[str]:
        """The first lines of what one of the clients goes on writing; then it is ended."""
        with subprocess.Popen(
            self._client_command(program, *words),
            env=self._around_clients(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            lines = [client.stdout.readline() for _ in range(count)]
            client.terminate()
        return lines

    def do(self, *words: str) -> str:
        """Run tashi-client and return what it said; it must succeed."""
        ended = self.run("client", *words)
        assert ended.returncode == 0, f"{words}: {ended.stderr}\n{self.story()}"
        return ended.stdout

    def story(self, lines: int = 40) -> str:
        """The ends of all logs, for whoever must find out what went wrong."""
        ends = []
        for daemon in (*self.daemons, self.accounting):
            said = daemon.log.read_text(errors="replace") if daemon.log.exists() else ""
            ends += [f"---- {daemon.name}", *said.splitlines()[-lines:]]
        return "\n".join(ends)

    def _client_command(self, program: str, *words: str) -> list[str]:
        return [sys.executable, "-m", f"tashi.programs.{program}", *words]

    def _around_clients(self) -> dict[str, str]:
        home = {"HOME": str(self.folder / "home")} if self.shape.secure else {}
        return {**environment(self.configuration), **home}

    # ---- making ---------------------------------------------------------------------------------

    def _new_link(self) -> Link | LeaderLink:
        return Link((self.address, self.port), secrets=self._secrets)

    def _settings(self) -> dict[str, dict[str, object]]:
        ours: dict[str, dict[str, object]] = {
            "Client": {"clusterManagerHost": self.address, "clusterManagerPort": self.port},
            "ClusterManagerService": {"port": self.port, "expireHostTime": 20},
            "ClusterManager": {"data": self.books.data},
            **self.books.settings,
            "Vfs": {"prefix": self.images.parent},
            "NodeManager": {"vmm": self.shape.vmm, "network": "user"},
            "NodeManagerService": {
                "clusterManagerPort": self.port,
                "registerHost": True,
                "registerFrequency": 2,
                **{key: size for key, size in self._sizes() if size is not None},
            },
            "Qemu": {"accel": "tcg"},
            "AccountingService": {"journal": self.folder / "accounting"},
            "Primitive": {"heldFirstPause": 0.2, "heldLongestPause": 2},
        }
        if self.shape.secure:
            ours["Security"] = {"authAndEncrypt": True, "pkiDir": self.folder / "pki"}
            ours["ClusterManager"] = {"data": GETENT}
            ours["GetentOverride"] = {"baseData": self.books.data}
        for section, values in self.shape.extra.items():
            ours.setdefault(section, {}).update(values)
        return ours

    def _sizes(self) -> tuple[tuple[str, int | None], ...]:
        return ("memory", self.shape.memory), ("cores", self.shape.cores)

    def _proven(self) -> Secrets:
        """Give every daemon of the site its certificate, and us one."""
        office = self.office
        assert office is not None
        for role in ("clustermanager", "scheduler", "agent"):
            issued = office.issued(role, "localhost", "127.0.0.1", self.address)
            issued.rename(office.folder / role)
        own = office.issued("user", self.who)
        home = self.folder / "home/.tashi"
        home.mkdir(parents=True)
        own = own.rename(home / "pki")
        return Secrets(Papers(own, shows=True), "clustermanager")

    def _node_proven(self, own: Path, name: str, address: str) -> dict[str, dict[str, object]]:
        """Give a node its certificate, in a folder of its own; the settings that say where."""
        if self.office is None:
            return {}
        own.mkdir(parents=True, exist_ok=True)
        (own / "pki").mkdir()
        self.office.issued("nodemanager", name, address).rename(own / "pki/nodemanager")
        return {"Security": {"pkiDir": own / "pki"}}

    def _daemon(self, name: str) -> Daemon:
        return Daemon(name, PROGRAMS[name], self.folder / f"{name}.log", self.configuration)

    def _node(self, number: int) -> Daemon:
        own = self.folder / f"n{number}"
        write(
            own / "NodeManager.cfg",
            {
                "NodeManagerService": {"hostName": f"host{number}", "port": free_port()},
                "Qemu": {"infoDir": own / "info", "scratchDir": own / "scratch"},
                **self._node_proven(own, f"host{number}", self.address),
            },
        )
        log = self.folder / f"nodemanager{number}.log"
        return Daemon(f"nodemanager{number}", PROGRAMS["nodemanager"], log, self.configuration, own)


def state_of(now: SnapshotForm, name: str) -> InstanceState | None:
    """The state of the instance of that name, if there is one."""
    return next((one.state for one in now.instances if one.name == name), None)


def write(path: Path, sections: Mapping[str, Mapping[str, object]]) -> None:
    """Write a file of configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
