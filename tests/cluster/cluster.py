"""A whole cluster in one process: manager, scheduler and nodes on a hand-turned clock.

The daemons are the real ones and talk in the real bytes; only sockets, threads and QEMU are
replaced. Nothing happens between two calls of `settle`, and every run is the same.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from random import Random
from typing import Any

from fakes.clock import HandTurnedClock
from fakes.faulty_store import FaultyStore
from fakes.frames import FakeFrames
from fakes.images import FakeImages
from fakes.notebook import MemoryNotebook
from fakes.site import FakeAddresses, FakeNames
from fakes.users import FakePasswords
from fakes.workers import HandWorkers
from tashi import __version__
from tashi.adapters.hypervisor.simulated import Ether, SimulatedHypervisor
from tashi.adapters.store.memory import MemoryStore
from tashi.adapters.users.getent import NoDirectory
from tashi.clustermanager.daemon import ClusterManager, Plan
from tashi.clustermanager.daemon import World as ManagerWorld
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.monitor import Times as ManagerTimes
from tashi.clustermanager.remote import RemoteNodes
from tashi.domain.admission import Limits
from tashi.domain.catalogue import Network
from tashi.domain.errors import PeerSilent, TashiError
from tashi.domain.host import Machine
from tashi.domain.identity import InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Instance
from tashi.domain.permissions import Caller, Role
from tashi.domain.placement.filters import Policy
from tashi.domain.states import InstanceState
from tashi.nodemanager.daemon import NodeManager, Times
from tashi.nodemanager.daemon import World as NodeWorld
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.ports.hooks import Hook
from tashi.ports.users import Directory
from tashi.scheduler.agent import Agent
from tashi.scheduler.clerk import Clerk, Servers
from tashi.scheduler.loop import Loop
from tashi.scheduler.names import NO_SITE, Site
from tashi.scheduler.remote import RemoteClusterManager
from tashi.wire import envelope, versions
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER
from tashi.wire.serving import Desk

POLICY = Policy(version=__version__)
ALICE = UserId(1000)
PATIENCE = 1000
ROUNDS = 20


class Wire:
    """A link to one desk in this process; `cut` makes it silent."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.desk: Desk | None = None
        self.cut = False

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        if self.cut or self.desk is None:
            raise PeerSilent("Nobody answers.")
        identity, _ = envelope.glance(request)
        try:
            answer = self.desk.answer(request, "here")
            if isinstance(answer, Future):
                self._cluster.pump_until(answer)
                answer = answer.result(0)
        except TashiError as error:
            return envelope.write_error(identity, error)
        return answer

    def close(self) -> None:
        """Nothing is held."""


class NodeSite:
    """One host: what outlives its node manager, and the node manager while it lives."""

    def __init__(self, cluster: "Cluster", name: str, port: int, memory: int, cores: int) -> None:
        self._cluster = cluster
        self.hypervisor = SimulatedHypervisor(name, cluster.ether, cluster.clock.monotonic)
        self.notebook = MemoryNotebook()
        self.workers = HandWorkers(cluster.clock)
        self.wire = Wire(cluster)
        self.uplink = Wire(cluster)
        self.machine = Machine(
            name=name,
            memory=Mib(memory),
            cores=cores,
            version=__version__,
            address=name,
            port=port,
            boot_id=f"boot-{name}-1",
        )
        self.manager: NodeManager | None = None

    def start(self) -> None:
        """Start a node manager on what the last one left."""
        self.workers = HandWorkers(self._cluster.clock)
        self.frames = FakeFrames()
        self.uplink.desk = self._cluster.desk
        calls = to_cluster_manager(self.uplink, Caller(Role.NODE, name=self.machine.name))
        world = NodeWorld(
            hypervisor=self.hypervisor,
            notebook=self.notebook,
            registrar=RemoteRegistrar(calls),
            frames=self.frames,
            workers=self.workers,
            clock=self._cluster.clock,
        )
        self.manager = NodeManager(
            world, lambda: self.machine, Times(statistics=15.0), register=True
        )
        self.wire.desk = Desk(NODE_MANAGER, self.manager.handlers(), versions.NODE_MANAGER)
        self.manager.begin()

    def kill(self) -> None:
        """The node manager dies at once; guests and notes stay."""
        self.manager = None
        self.wire.desk = None
        self.workers.drop_all()

    def reboot(self, number: int) -> None:
        """The whole machine dies and comes back: no guest survives."""
        self.kill()
        self.hypervisor.power_cut()
        self.machine = replace(self.machine, boot_id=f"boot-{self.machine.name}-{number}")

    def reimage(self, number: int) -> None:
        """The whole machine dies and comes back with an empty disk, as one that boots by PXE."""
        self.reboot(number)
        self.hypervisor = SimulatedHypervisor(self.machine.name, self._cluster.ether)
        self.notebook = MemoryNotebook()


class Cluster:
    """Begins with no host; add some, then `settle`."""

    def __init__(
        self,
        policy: Policy = POLICY,
        allow_duplicate_names: bool = False,
        site: Site = NO_SITE,
        hooks: Sequence[Hook] = (),
        directory: Directory | None = None,
    ) -> None:
        self.clock = HandTurnedClock(1000.0)
        self.workers = HandWorkers(self.clock)
        self.store = FaultyStore(MemoryStore())
        self.images = FakeImages({"web.qcow2", "data.qcow2"})
        self.policy = policy
        self.limits = Limits(8192, 8, allow_duplicate_names)
        self.nodes: dict[str, NodeSite] = {}
        self.ether = Ether()
        self.scheduling = True
        self.on_step: Callable[[str], None] = lambda _: None
        self.site, self.hooks = site, hooks
        self.directory = directory or NoDirectory()
        self.names, self.addresses = FakeNames(), FakeAddresses()
        self.clerks = HandWorkers(self.clock)
        self.passwords = FakePasswords()
        self._watch_again = True
        self.start_manager()

    # ---- the daemons --------------------------------------------------------------------------

    def start_manager(self) -> None:
        """Start a cluster manager on what the last one committed."""
        self.workers = HandWorkers(self.clock)
        world = ManagerWorld(
            store=self.store,
            clock=self.clock,
            nodes=RemoteNodes(lambda host, _: self.nodes[host].wire),
            workers=self.workers,
            directory=self.directory,
            passwords=self.passwords,
            images=self.images,
            draws=Random(1),
            on_step=self._come_to,
        )
        plan = Plan(
            rules=Rules(self.limits, self.policy, NetworkId(1)),
            times=ManagerTimes(
                expire_host=30.0, decay=30.0, activate=60.0, monitor=60.0, migrate=300.0
            ),
            most_events=10_000,
            fetch_threshold=60.0,
            version=None if self.policy.allow_mismatched_versions else __version__,
            largest_image=1 << 30,
            configured=(Network(NetworkId(1), "default"),),
        )
        self.manager = ClusterManager(world, plan)
        self.desk = Desk(CLUSTER_MANAGER, self.manager.handlers(), versions.CLUSTER_MANAGER)
        self.manager.begin()
        self.start_scheduler()
        for node in self.nodes.values():
            node.uplink.desk = self.desk

    def _come_to(self, step: str) -> None:
        self.on_step(step)

    def kill_manager(self) -> None:
        """The cluster manager dies; what it had not sent is gone."""
        self.workers.drop_all()
        for node in self.nodes.values():
            node.uplink.desk = None

    def start_scheduler(self) -> None:
        """Start a scheduler that knows nothing; of the one before, nothing is left."""
        self.clerks.drop_all()
        wire = Wire(self)
        wire.desk = self.desk
        calls = to_cluster_manager(wire, Caller(Role.SCHEDULER, name="scheduler"))
        cluster = RemoteClusterManager(calls)
        servers = Servers(self.names, self.addresses)
        clerk = Clerk(servers, self.hooks, cluster, self.clerks, self.clock)
        agent = Agent(self.policy, site=self.site)
        self._loop = Loop(agent, cluster, self.clock, 0.0, clerk)

    def add_node(self, name: str, memory: int = 4096, cores: int = 4) -> NodeSite:
        """Add a host whose node registers itself."""
        site = NodeSite(self, name, 9883, memory, cores)
        self.nodes[name] = site
        site.start()
        return site

    # ---- time ---------------------------------------------------------------------------------

    def pump_until(self, answer: "Future[Any]") -> None:
        """Let the daemons' own threads work until that answer is there.

        Raises PeerSilent when it does not come, as a call does whose time is up. That happens when
        the answer needs somebody who waits for this very call: with threads, a matter of
        milliseconds.
        """
        for _ in range(ROUNDS):
            if answer.done():
                return
            self._turn_daemons()
            self._run_workers()
            self.manager.ledger.history.expire(float("inf"))
        raise PeerSilent("The answer did not come in time.")

    def settle(self) -> None:
        """Let everything happen that does not need time to pass."""
        quiet = 0
        for _ in range(PATIENCE):
            before = self.manager.ledger.published.next_event
            self._turn_daemons()
            done = self._run_workers()
            if self.scheduling:
                self._loop.turn()
            rests = not done and before == self.manager.ledger.published.next_event
            quiet = quiet + 1 if rests else 0
            if quiet == 2:
                return
        raise AssertionError("The cluster does not come to rest.")

    def let_pass(self, seconds: float) -> None:
        """Let time pass in steps of a second, with everything that it brings."""
        for _ in range(int(seconds)):
            self.clock.turn(1.0)
            self.manager.tick()
            for node in self.nodes.values():
                if node.manager is not None:
                    node.manager.tick()
            self.settle()

    def _turn_daemons(self) -> None:
        self.manager.turn(0.0)
        for node in self.nodes.values():
            if node.manager is not None:
                node.manager.turn(0.0)

    def _run_workers(self) -> int:
        nodes = list(self.nodes.values())
        done = self.workers.run_all() + sum(node.workers.run_all() for node in nodes)
        return done + (self.clerks.run_all() if self.scheduling else 0)

    # ---- what people do -----------------------------------------------------------------------

    def calls(self, user: UserId = ALICE, role: Role = Role.USER) -> Calls:
        """The calls of a user, or of root for an administrator."""
        wire = Wire(self)
        wire.desk = self.desk
        return to_cluster_manager(wire, Caller(role, user))

    def create(self, name: str, **wanted: Any) -> InstanceId:
        """Create an instance with one disk; its id."""
        disks = wanted.pop("disks", (DiskForm("web.qcow2"),))
        form = NewInstanceForm(name=name, disks=disks, **wanted)
        return InstanceId(self.calls().call("createVm", InstanceForm, instance=form).id)

    def command(self, name: str, instance: InstanceId) -> InstanceForm:
        """Give one of the owner's commands."""
        return self.calls().call(name, InstanceForm, instance_id=instance)

    def record(self, instance: InstanceId) -> Instance:
        """The record as it is committed; also of one that is over."""
        return self.manager.ledger.books.instances[instance]

    def state(self, instance: InstanceId) -> InstanceState | None:
        """The state of an instance, ``None`` when the books have none."""
        record = self.manager.ledger.books.instances.get(instance)
        return None if record is None else record.state

    def running_guests(self, instance: InstanceId) -> list[str]:
        """The hosts on which vCPUs of that instance run."""
        return [name for name, node in self.nodes.items() if instance in node.hypervisor.running()]
