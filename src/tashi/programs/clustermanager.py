"""The cluster manager as a program: adapters chosen, put together, and run."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from random import SystemRandom

from tashi import __version__
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager.daemon import ClusterManager, Plan, World
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.monitor import Times
from tashi.clustermanager.remote import RemoteNodes
from tashi.domain.admission import Limits
from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import HostId, Mib, NetworkId, UserId
from tashi.domain.journal import Record
from tashi.domain.placement.filters import Policy
from tashi.ports.peers import Peer
from tashi.ports.store import Store
from tashi.programs.daemon import run
from tashi.programs.doorman import Doorman
from tashi.programs.implementations import (
    chosen_directory,
    chosen_store,
    keeps_config_records,
    trusted_networks,
)
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.images import VfsSettings
from tashi.settings.sections.scheduler import PrimitiveSettings
from tashi.settings.sections.users import FromConfigSettings
from tashi.wire import versions
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.serving import Desk

_log = logging.getLogger(__name__)

_MIB = 1 << 20
_WORDS = "Keep the books of the cluster: hosts, instances, networks and users."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cluster manager; returns its exit code."""
    return run("clustermanager", _WORDS, Program.CLUSTER_MANAGER, ClusterManagerDaemon, argv)


class ClusterManagerDaemon:
    """The cluster manager with its socket, its store and its threads.

    `on_step` hears of the moments between which the process may die; a `store` takes the place of
    the one that the settings choose.
    """

    def __init__(
        self,
        settings: Settings,
        on_step: Callable[[str], None] = lambda _: None,
        store: Store | None = None,
    ) -> None:
        ours = settings.of(ClusterManagerSettings)
        commands = SystemCommands()
        images = ImageFolder(settings.of(VfsSettings).prefix, commands)
        directory, threshold = chosen_directory(settings, commands)
        self._workers = ThreadWorkers()
        self._store = store or chosen_store(settings, on_step)
        world = World(
            store=self._store,
            clock=SystemClock(),
            nodes=RemoteNodes(lambda host, port: Link((host, port))),
            workers=self._workers,
            directory=directory,
            images=images,
            delete_saved=images.delete_saved,
            delete_stored=images.delete_stored,
            draws=SystemRandom(),
            on_step=on_step,
        )
        self._manager = ClusterManager(world, _plan(settings, threshold))
        desk = Desk(
            CLUSTER_MANAGER,
            self._manager.handlers(),
            versions.CLUSTER_MANAGER,
            relaxed=ours.allow_mismatched_versions,
        )
        self._doorman = Doorman(desk)
        # After the books are ours: whoever finds them in use waits for their owner's end (exit
        # code 1), but whoever finds only the port taken must mend a file (2).
        self._server = listen(
            self._answer,
            (ours.host, ours.port),
            section="ClusterManagerService",
            trusted_networks=trusted_networks(settings),
        )
        self._manager.begin()
        self._server.serve()
        _log.info("Listening on %s:%d.", *self._server.address)

    def _answer(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        return self._doorman.answer(request, peer)

    def turn(self, wait_seconds: float) -> None:
        """Let the ledger take what is queued."""
        self._manager.turn(wait_seconds)

    def tick(self) -> None:
        """Let time do its part."""
        self._manager.tick()

    def wake(self) -> None:
        """Let a waiting turn return."""
        self._manager.ledger.wake()

    def stop(self) -> None:
        """Answer no more calls, send no more orders, give the store back."""
        self._server.stop()
        self._manager.stop()
        self._workers.stop()
        self._store.close()


def _plan(settings: Settings, threshold: float) -> Plan:
    ours = settings.of(ClusterManagerSettings)
    policy = Policy(
        version=__version__,
        cpu_overcommit=ours.cpu_overcommit,
        memory_overcommit=ours.memory_overcommit,
        dense_pack=settings.of(PrimitiveSettings).dense_pack,
        allow_mismatched_versions=ours.allow_mismatched_versions,
    )
    return Plan(
        rules=Rules(
            limits=Limits(ours.max_memory, ours.max_cores, ours.allow_duplicate_names),
            policy=policy,
            default_network=NetworkId(ours.default_network),
        ),
        times=Times(
            expire_host=ours.expire_host_time,
            decay=ours.allow_decayed,
            activate=ours.activate_timeout,
            monitor=ours.monitor_timeout,
            migrate=ours.migrate_timeout,
        ),
        most_events=ours.event_retention,
        fetch_threshold=threshold,
        largest_image=settings.of(VfsSettings).max_image_size * _MIB,
        version=None if ours.allow_mismatched_versions else __version__,
        configured=tuple(_configured(settings, NetworkId(ours.default_network))),
    )


def _configured(settings: Settings, default_network: NetworkId) -> Iterator[Record]:
    """Records that the configuration asks for; a cluster always has its default network."""
    if keeps_config_records(settings):
        written = settings.of(FromConfigSettings)
        for line, host in written.hosts.items():
            yield Host(
                id=HostId(line if host.id is None else host.id),
                name=host.name,
                memory=Mib(host.memory),
                cores=host.cores,
                notes=host.notes or "",
                reserved=tuple(map(UserId, host.reserved)),
            )
        for line, network in written.networks.items():
            yield Network(NetworkId(line if network.id is None else network.id), network.name)
        for line, user in written.users.items():
            yield User(UserId(line if user.id is None else user.id), user.name)
    yield Network(default_network, "default")


if __name__ == "__main__":
    sys.exit(main())
