"""A site with two cluster managers, which share their books in a database on a server.

Each has a line to the database of its own, which can fall silent. One leads and the other stands
by; whoever ends, for whatever reason, is started again by its test, as its supervisor would.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from databases import Proxy, Server, empty
from ports import free_port
from system import counted_node, freezing_manager
from system.books import SQL, SQL_STEPS, Books
from system.sites import PATIENCE_SECONDS, Daemon, Shape, Site, write
from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.wire import codec, envelope, versions
from tashi.wire.forms import NetworkForm

DATABASE: Final = "shared"
_LOOK_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Manager:
    """One of the cluster managers: its process, its port, its database and the line to that.

    The `wish` is the file with the step that it is to freeze at.
    """

    daemon: Daemon
    port: int
    server: Server
    line: Proxy
    wish: Path

    @property
    def address(self) -> str:
        """Where it is called."""
        return f"127.0.0.1:{self.port}"


def in_shared(servers: Sequence[Server]) -> Books:
    """The books there; each cluster manager is told its own way to them, and others have none."""
    return Books(
        SQL,
        {},
        SQL_STEPS,
        lambda: SqlStore(servers[-1].address(DATABASE)),
        lambda: empty(DATABASE, servers),
    )


class SharedSite(Site):
    """A site whose books are in the database of a server, with two cluster managers."""

    def __init__(self, folder: Path, shape: Shape, *servers: Server) -> None:
        """Both are given the one server, or each its own, where several are one cluster."""
        empty(DATABASE, servers)
        self.servers = servers
        self.ports = (free_port(), free_port())
        self.starts = folder / "starts"
        super().__init__(folder, replace(shape, books=lambda _: in_shared(servers)))
        self.managers = tuple(
            self._manager(number, port, servers[number % len(servers)])
            for number, port in enumerate(self.ports)
        )
        self.manager = self.managers[0].daemon

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """Every daemon, the cluster managers first."""
        return (*(one.daemon for one in self.managers), self.scheduler, *self.nodes)

    def start(self) -> None:
        """Start everything, the cluster managers one after the other; wait for all hosts."""
        first, second = self.managers
        first.daemon.start()
        self.leads(first)
        second.daemon.start()
        for daemon in (self.scheduler, *self.nodes):
            daemon.start()
        self.until(lambda now: sum(host.up for host in now.hosts) == self.shape.hosts)

    def end(self) -> list[str]:
        """Stop what runs, and let go of the lines."""
        self.managers[1].daemon.kill()
        left = super().end()
        for one in self.managers:
            one.line.end()
        return left

    def networks(self, one: Manager) -> set[str] | None:
        """The names of the networks in its books; ``None`` when it does not lead."""
        request = envelope.write_request(
            str(versions.CLUSTER_MANAGER.version), "a look", "getNetworks", who=self.calls.who
        )
        with closing(self._link_to(one)) as link, suppress(NotLeader, PeerSilent):
            answer = envelope.read_answer(link.call(request, _ANSWER_SECONDS), "a look")
            found = codec.decode(tuple[NetworkForm, ...], answer, "The answer")
            return {network.name for network in found}
        return None

    def refusal(self, one: Manager) -> str:
        """What somebody is told who asks one that does not lead."""
        with closing(self._link_to(one)) as link:
            try:
                self.calls_of(link).call("getNetworks", tuple[NetworkForm, ...])
            except NotLeader as refusal:
                return refusal.message
        raise AssertionError(f"{one.address} leads.")

    def add_network(self, one: Manager, number: int, name: str) -> None:
        """Have that one acknowledge a network."""
        with closing(self._link_to(one)) as link:
            self.calls_of(link).call("addNetwork", NetworkForm, network_id=number, name=name)

    def leads(self, one: Manager) -> None:
        """Wait until that one leads."""
        self._until(f"{one.address} leads", lambda: self.networks(one) is not None)

    def stands_by(self, one: Manager) -> None:
        """Wait until that one answers, and does not lead."""
        self._until(f"{one.address} stands by", lambda: self._refuses(one))

    def says(self, one: Manager, words: str) -> None:
        """Wait until that one has said so in its log."""
        self._until(f"{one.address} says {words!r}", lambda: words in one.daemon.log.read_text())

    def freezes_at(self, one: Manager, step: str) -> None:
        """Let it freeze when it comes to that step, and wait until it has."""
        one.wish.write_text(step)
        self._until(f"{one.address} freezes at {step}", lambda: not one.wish.exists())

    def someone_leads(self) -> Manager:
        """Wait until one of them leads; which one."""
        found: list[Manager] = []

        def look() -> bool:
            found[:] = [one for one in self.managers if self.networks(one) is not None]
            return bool(found)

        self._until("somebody leads", look)
        return found[0]

    def _refuses(self, one: Manager) -> bool:
        try:
            return bool(self.refusal(one))
        except (PeerSilent, AssertionError):
            return False

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = monotonic() + PATIENCE_SECONDS
        while not holds():
            assert monotonic() < deadline, f"It is not so that {what}.\n{self.story()}"
            sleep(_LOOK_SECONDS)

    # ---- making ---------------------------------------------------------------------------------

    def _manager(self, number: int, port: int, server: Server) -> Manager:
        line = Proxy(server)
        own = self.folder / f"cm{number + 1}"
        write(
            own / "ClusterManager.cfg",
            {
                "ClusterManagerService": {"port": port},
                "SQL": {"uri": f"mysql://root@127.0.0.1:{line.port}/{DATABASE}"},
            },
        )
        name = f"clustermanager{number + 1}"
        log, wish = self.folder / f"{name}.log", own / "freezes-at"
        command = (freezing_manager.__file__, str(wish))
        daemon = Daemon(name, command, log, self.configuration, own)
        return Manager(daemon, port, server, line, wish)

    def _new_link(self) -> Link | LeaderLink:
        return LeaderLink(
            [Link((self.address, port), secrets=self._secrets) for port in self.ports]
        )

    def _link_to(self, one: Manager) -> Link:
        return Link((self.address, one.port), secrets=self._secrets)

    def _settings(self) -> dict[str, dict[str, object]]:
        settings = super()._settings()
        places = ", ".join(f"{self.address}:{port}" for port in self.ports)
        settings["Client"] = {"clusterManagerHost": places}
        settings["NodeManagerService"] |= {"clusterManagerHost": places}
        return settings

    def _node(self, number: int) -> Daemon:
        node = super()._node(number)
        counted = (counted_node.__file__, str(self.starts))
        return Daemon(node.name, counted, node.log, self.configuration, self.folder / f"n{number}")
