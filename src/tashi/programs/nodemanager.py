"""The node manager as a program: adapters chosen, put together, and run."""

import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from tashi import __version__
from tashi.adapters.hypervisor.qemu.process import former_places
from tashi.adapters.journal.notebook import FolderNotebook, host_of
from tashi.adapters.network.vigil import Vigil
from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.system.frames import PacketFrames
from tashi.adapters.system.machine import Machine as Facts
from tashi.adapters.system.machine import describe_machine
from tashi.adapters.system.workers import ThreadWorkers
from tashi.domain.errors import Misconfigured
from tashi.domain.host import Machine
from tashi.domain.identity import Mib
from tashi.domain.permissions import Caller, Role
from tashi.nodemanager.daemon import NodeManager, Times, World
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.ports.hypervisor import Hypervisor, Others
from tashi.ports.peers import Peer
from tashi.programs import proving
from tashi.programs.audit import Audit
from tashi.programs.daemon import run
from tashi.programs.doorman import Doorman
from tashi.programs.identifying import identification
from tashi.programs.implementations import (
    chosen_guard,
    chosen_hypervisor,
    chosen_networks,
    migration_address,
    own_address,
    trusted_networks,
)
from tashi.programs.metering import Metering
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.nodemanager import NodeManagerParts, NodeManagerSettings
from tashi.settings.sections.qemu import QemuSettings
from tashi.wire import versions
from tashi.wire.calls import to_cluster_manager
from tashi.wire.methods import NODE_MANAGER
from tashi.wire.serving import Desk

_log = logging.getLogger(__name__)

_NOTES = "notes"
_WORDS = "Run the guests of this machine on the cluster manager's orders."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node manager; returns its exit code."""
    return run("nodemanager", _WORDS, Program.NODE_MANAGER, NodeManagerDaemon, argv)


class NodeManagerDaemon:
    """The node manager with its socket, its notes and its threads.

    `on_step` hears of the moments of a guest's start, move or save between which it may die; a
    `hypervisor` takes the place of the one that the settings choose.
    """

    def __init__(
        self,
        settings: Settings,
        on_step: Callable[[str], None] = lambda _: None,
        hypervisor: Hypervisor | None = None,
    ) -> None:
        ours = settings.of(NodeManagerSettings)
        shown = proving.papers(settings, proving.NODE_MANAGER)
        qemu = settings.of(QemuSettings)
        facts = _facts(ours, qemu)
        self._workers = ThreadWorkers()
        _check_place(qemu, facts.host_name)
        self._notebook = FolderNotebook(qemu.info_dir / _NOTES, facts.host_name)
        self._metering = Metering("nodemanager", settings, settings.of(NodeManagerParts).publisher)
        self._server = listen(
            self._answer,
            (ours.host, ours.port),
            section="NodeManagerService",
            trusted_networks=trusted_networks(settings),
            papers=shown,
        )
        guard = chosen_guard(settings)
        networks = chosen_networks(settings, guard)
        self._vigil = None if guard is None else Vigil(guard.mend)
        machine = _machine(facts, ours, self._server.address[1])
        secrets = proving.towards(shown, proving.CLUSTER_MANAGER)
        self._link = LeaderLink([Link(one, secrets=secrets) for one in ours.cluster_managers])
        calls = to_cluster_manager(self._link, Caller(Role.NODE, name=machine.name))
        self._expiry = proving.Expiry(
            settings, proving.NODE_MANAGER, self._workers, proving.asking(calls)
        )
        self._metering.meter.ask(self._expiry.readings)
        self._hypervisor = hypervisor or chosen_hypervisor(settings, networks, on_step)
        self._frames = PacketFrames()
        world = World(
            hypervisor=self._hypervisor,
            notebook=self._notebook,
            registrar=RemoteRegistrar(calls),
            frames=self._frames,
            workers=self._workers,
            clock=SystemClock(),
            meter=self._metering.meter,
        )
        self._manager = NodeManager(
            world,
            lambda: replace(
                beside(machine, self._hypervisor.others(), ours), networks=networks.offered()
            ),
            Times(
                frequency=ours.register_frequency,
                statistics=ours.stats_interval or qemu.stats_interval,
            ),
            register=ours.register_host,
        )
        self._doorman = Doorman(self._desk(settings), self._metering.meter)
        self._manager.begin()
        self._server.serve()
        self._metering.begin()
        _log.info("%s listens on %s:%d.", machine.name, *self._server.address)

    def turn(self, wait_seconds: float) -> None:
        """Let the node take what is posted."""
        self._manager.turn(wait_seconds)

    def tick(self) -> None:
        """Let time do its part."""
        self._expiry.tick()
        self._manager.tick()

    def wake(self) -> None:
        """Let a waiting turn return."""
        self._manager.wake()

    def stop(self) -> None:
        """Take no more orders and let go of everything but the guests."""
        self._server.stop()
        self._metering.stop()
        self._link.close()
        self._workers.stop()
        self._frames.close()
        self._hypervisor.close()
        if self._vigil is not None:
            self._vigil.close()
        self._notebook.close()

    def _desk(self, settings: Settings) -> Desk:
        return Desk(
            NODE_MANAGER,
            self._manager.handlers(),
            versions.NODE_MANAGER,
            identify=identification(settings),
            note=Audit().note,
        )

    def _answer(self, request: bytes, peer: Peer) -> bytes | Future[bytes]:
        return self._doorman.answer(request, peer)


def _check_place(qemu: QemuSettings, host: str) -> None:
    """Raise Misconfigured where guests of this host began when `infoDir` was another folder."""
    for place in former_places(qemu.info_dir.resolve(), qemu.scratch_dir.resolve()):
        if host_of(place / _NOTES) == host:
            raise Misconfigured(
                f"Guests of {host} run whose records are in {place}, and infoDir is "
                f"{qemu.info_dir} now: set it back, empty this host (drain), and change it then."
            )


def _facts(ours: NodeManagerSettings, qemu: QemuSettings) -> Facts:
    return describe_machine(
        host_name=ours.host_name,
        memory=ours.memory,
        cores=ours.cores,
        boot_id_file=ours.boot_id_file,
        reserved=qemu.reserved_mem,
    )


def _machine(facts: Facts, ours: NodeManagerSettings, port: int) -> Machine:
    return Machine(
        name=facts.host_name,
        memory=facts.memory,
        cores=facts.cores,
        version=__version__,
        address=own_address(ours.host),
        port=port,
        boot_id=facts.boot_id,
        migration_address=migration_address(ours),
    )


def beside(machine: Machine, others: Others, ours: NodeManagerSettings) -> Machine:
    """What is left of the machine beside guests of others, unless the settings say what it has."""
    memory = machine.memory if ours.memory else max(0, machine.memory - others.memory)
    cores = machine.cores if ours.cores else max(0, machine.cores - others.cores)
    return replace(machine, memory=Mib(memory), cores=cores)


if __name__ == "__main__":
    sys.exit(main())
