"""One reign of a cluster manager: the books loaded, the nodes told, every call answered.

It begins once the books are ours and lasts until the process ends. A cluster manager that has lost
its lease does not go back to standing by in the same process: what its threads are about would have
to be undone, and whatever keeps it alive starts a new one, which has nothing to undo.
"""

from collections.abc import Callable, Iterator
from math import inf
from random import Random

from tashi import __version__
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.system.workers import ThreadWorkers
from tashi.adapters.users.scrypted import ScryptedPasswords
from tashi.clustermanager.daemon import ClusterManager, Plan, World
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.monitor import Times
from tashi.clustermanager.remote import RemoteNodes
from tashi.clustermanager.tenure import ProvingStore, Tenure, TenuredHandler, TenuredLink
from tashi.domain.admission import Limits
from tashi.domain.catalogue import Network
from tashi.domain.errors import StoreFailed
from tashi.domain.host import Host
from tashi.domain.identity import HostId, Mib, NetworkId, UserId
from tashi.domain.journal import Record
from tashi.domain.placement.filters import Policy
from tashi.domain.succession import MARGIN_SECONDS
from tashi.ports.metrics import Meter
from tashi.ports.peers import Handler, Peer, Promise
from tashi.ports.store import Store
from tashi.programs import heldlines, proving
from tashi.programs.audit import Audit
from tashi.programs.directories import chosen_directory, chosen_password_check
from tashi.programs.doorman import Doorman
from tashi.programs.identifying import identification, of_people
from tashi.programs.implementations import keeps_config_records
from tashi.programs.passwordlines import chosen_passwords
from tashi.settings.load import Settings
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.images import VfsSettings
from tashi.settings.sections.scheduler import PrimitiveSettings
from tashi.settings.sections.security import SecuritySettings
from tashi.settings.sections.users import FromConfigSettings
from tashi.wire import versions
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.serving import Desk

_MIB = 1 << 20
_CONFIRM_SECONDS = 30.0


class Reign:
    """A cluster manager that leads, with its threads.

    `turn` and `tick` belong to one thread; calls are answered on any.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        shared: bool,
        papers: Papers | None,
        meter: Meter,
        on_step: Callable[[str], None],
    ) -> None:
        """Load the books. In a `shared` store others wait for our commits to stop."""
        ours = settings.of(ClusterManagerSettings)
        commands = SystemCommands()
        clock = SystemClock()
        images = ImageFolder(
            settings.of(VfsSettings).prefix, commands, self._confirm if shared else lambda: None
        )
        directory, threshold = chosen_directory(settings, commands)
        tenure = Tenure(clock, ours.take_over_after - MARGIN_SECONDS if shared else inf)
        nodes = proving.towards(papers, proving.NODE_MANAGER)
        self._tenure = tenure
        self._workers = ThreadWorkers()
        world = World(
            store=ProvingStore(store, tenure, clock),
            clock=clock,
            nodes=RemoteNodes(
                lambda host, port: TenuredLink(Link((host, port), secrets=nodes), tenure)
            ),
            workers=self._workers,
            directory=directory,
            passwords=ScryptedPasswords(chosen_passwords(settings, store)),
            password_check=chosen_password_check(settings),
            images=images,
            draws=Random(),  # of addresses, no secrets: nobody has to ask the system for each
            on_step=on_step,
            meter=meter,
            renew=proving.renewal(settings),
            together=heldlines.held,
        )
        self._manager = ClusterManager(world, _plan(settings, threshold))
        answer = Doorman(self._desk(settings), meter).answer
        self._handler: Handler = TenuredHandler(answer, tenure) if shared else answer

    def begin(self) -> None:
        """Let the books and the nodes know of it."""
        self._manager.begin()

    def answer(self, request: bytes, peer: Peer) -> bytes | Promise:
        """Have one request answered; raises NotLeader once another may lead."""
        return self._handler(request, peer)

    def turn(self, wait_seconds: float) -> None:
        """Let the ledger take what is queued; raises ReignLost."""
        self._manager.turn(wait_seconds)

    def tick(self) -> None:
        """Let time do its part, and others see that we live."""
        if self._tenure.wants_proof:
            self._manager.ledger.ask(Draft.insist)
        self._manager.tick()

    def wake(self) -> None:
        """Let a waiting turn return."""
        self._manager.ledger.wake()

    def stop(self) -> None:
        """Send no more orders, and give up what is under way."""
        self._manager.stop()
        self._workers.stop()

    def _confirm(self) -> None:
        """Raise unless we lead at this moment, which a commit proves."""
        try:
            self._manager.ledger.ask(Draft.insist).result(_CONFIRM_SECONDS)
        except TimeoutError as error:
            raise StoreFailed(
                "The books took no commit for long: nobody knows who leads."
            ) from error

    def _desk(self, settings: Settings) -> Desk:
        persons, opened = self._manager.persons, self._manager.tickets.proof
        return Desk(
            CLUSTER_MANAGER,
            self._manager.handlers(),
            versions.CLUSTER_MANAGER,
            relaxed=settings.of(ClusterManagerSettings).allow_mismatched_versions,
            identify=of_people(
                identification(settings, persons.known, opened), persons, self._workers
            ),
            note=Audit().note,
        )


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
        ticket_seconds=settings.of(SecuritySettings).ticket_time,
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
    yield Network(default_network, "default")
