"""A modelled cluster: its cluster manager, its nodes and what is on its way between them.

What happens is told as a story; `laws` say what must hold after everything. Everything is drawn
from one generator, so that a seed is a whole history.
"""

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Final

from simulator.clustermanager import ClusterManager
from simulator.machine import Machine
from simulator.messages import Left, Message, Orders, Protections, Words
from simulator.node import Node
from simulator.site import Site
from simulator.slot import Slot, mac_of
from simulator.store import SavedMemory, Violation
from tashi.domain import events as e
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import HostId, InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Disk, Instance, Nic, OnExit, OnLoss, saved_name
from tashi.domain.states import InstanceState

_ANEW: Final = {InstanceState.PENDING, InstanceState.STOPPED, InstanceState.EXITED}
MOST_IN_FLIGHT: Final = 12
PERSISTENT: Final = 0.3
"""How many of the instances have all their disks in the image store."""


@dataclass(slots=True)
class Causes:
    """What could rightly end an instance."""

    destroyed: bool = False
    shut_down: bool = False
    powered_off: bool = False
    died: bool = False

    def note(self, how: Ending) -> None:
        """A guest of the instance ended like that."""
        self.powered_off |= how is Ending.POWERED_OFF
        self.died |= how is Ending.CRASHED

    def excuse(self, instance: Instance) -> bool:
        """Whether the instance may be over."""
        left = self.powered_off and instance.on_exit is OnExit.FORGET
        lost = self.died and instance.on_loss is OnLoss.FORGET
        shut = self.died and self.shut_down and instance.on_exit is OnExit.FORGET
        return self.destroyed or left or lost or shut


class World:
    """A cluster in which nothing has happened yet but that every node has a session.

    `keen_on` is what people ask for most in it; in a `restless` one they move everything about,
    time and again. `blinked` are instances whose guests stood still, or ran on, by themselves;
    `spoken` are the addresses that guests have used; `echoes` are the words from source to target
    that were ever said, each of which may come again.
    """

    def __init__(
        self, seed: int, protections: Protections, hosts: int = 2, instances: int = 1
    ) -> None:
        self.random = Random(seed)
        self.store = SavedMemory(full=self.likely(0.5))
        self.in_flight: deque[Message] = deque(maxlen=MOST_IN_FLIGHT)
        self.echoes: list[Left] = []
        self.story: list[tuple[object, ...]] = []
        self.blinked: set[InstanceId] = set()
        self.spoken: set[tuple[InstanceId, str]] = set()
        self.site = Site()
        self.restless = self.likely(0.25)
        self.keen_on = self.random.choice((e.Migrate, e.Suspend, e.Pause, e.ShutDown, e.Stop))
        self.manager = ClusterManager(self.store, protections, self._changed)
        self.manager.begin_reign()
        machines: dict[HostId, Machine] = {}
        for number in range(1, hosts + 1):
            host = HostId(number)
            machines[host] = Machine(host, self.store, protections, machines)
        self.nodes = {host: Node(one, self._say_left) for host, one in machines.items()}
        self.causes: dict[InstanceId, Causes] = {}
        self.most_instances = instances
        for node in self.nodes.values():
            self.hello(node, answered=True)

    def create(self) -> None:
        """Somebody wants an instance."""
        key = InstanceId(len(self.causes) + 1)
        self.causes[key] = Causes()
        wish = Instance(
            id=key,
            name=f"vm{key}",
            user_id=UserId(1),
            cores=1,
            memory=Mib(1),
            disks=(Disk(f"image{key}", persistent=self.random.random() < PERSISTENT),),
            nics=(Nic(NetworkId(1), mac_of(key)),),
            on_exit=self.random.choice(list(OnExit)),
            on_loss=self.random.choice(list(OnLoss)),
        )
        self.tell("create", wish)
        self.manager.accept(wish)

    # ---- choosing -----------------------------------------------------------------------------

    def likely(self, probability: float) -> bool:
        """True as often as that."""
        return self.random.random() < probability

    def any_node(self) -> Node:
        """One of the nodes."""
        return self.nodes[HostId(self.random.randint(1, len(self.nodes)))]

    def any_record(self) -> Instance | None:
        """One of the records, if there are any and somebody keeps them."""
        if not self.manager.alive or not self.manager.records:
            return None
        return self.random.choice(list(self.manager.records.values()))

    # ---- happening ----------------------------------------------------------------------------

    def tell(self, *words: object) -> None:
        """Add to the story; words are put together when somebody reads it."""
        self.story.append(words)

    def befall(self, key: InstanceId, event: e.Event) -> None:
        """Let the cluster manager take an event in."""
        self.tell(event)
        self.manager.befall(key, event)

    def hello(self, node: Node, *, answered: bool) -> None:
        """A node asks for a session; the answer may be lost."""
        if node.cut or not node.is_awake or not self.manager.alive:
            return
        self.tell("host", node.host_id, "says hello, answered:", answered)
        session = self.manager.open_session(node.host_id)
        if answered and self.manager.alive:
            node.enter(self.manager.epoch, session)

    def deliver(self, message: Message, *, answered: bool) -> None:
        """Something arrives, if anybody is there; the answer may be lost."""
        node = self.nodes[message.host_id]
        if isinstance(message, Words):
            self._deliver_words(node, message, answered=answered)
        elif not node.is_awake:
            return
        elif isinstance(message, Left):
            self.tell(message)
            node.hear_left(message)
        elif not node.cut:
            self._deliver_orders(node, message, answered=answered)

    def work(self, node: Node, key: InstanceId, *, lucky: bool) -> None:
        """A node does the next thing for an instance."""
        self.tell("host", node.host_id, "works for", key)
        node.work(key, lucky=lucky)

    def end_guest(self, key: InstanceId, slot: Slot, how: Ending) -> None:
        """A guest ends by itself."""
        self.tell("guest", key, "ends:", how)
        self.causes[key].note(how)
        slot.end(how)

    def note_death(self, node: Node) -> None:
        """Every guest on a machine is dead, or counts as such from now on."""
        for key, slot in node.slots.items():
            waits = slot.state in {GuestState.RECEIVING, GuestState.LEFT}
            self.causes[key].died |= slot.loaded or not waits

    def _deliver_orders(self, node: Node, message: Orders, *, answered: bool) -> None:
        self.tell(message, "answered:", answered)
        if node.take_orders(message) and answered:
            self.manager.taken_up(message)

    def _deliver_words(self, node: Node, message: Words, *, answered: bool) -> None:
        if node.cut or not self.manager.alive:
            return
        self.tell(message, "answered:", answered)
        heard = self.manager.hear(message)
        if not answered or not node.is_awake or message.session != node.session:
            return
        if heard:
            node.acknowledged(message)
        elif self.manager.alive:
            node.leave()

    def _say_left(self, message: Left) -> None:
        self.in_flight.append(message)
        self.echoes.append(message)

    def _changed(self, before: Instance, after: Instance) -> None:
        self.tell(" ", before, before.state.title, "->", after.state.title, "on", after.hosts)
        over = after.state is InstanceState.EXITED and before.state is not InstanceState.EXITED
        if over and not self.causes[after.id].excuse(after):
            raise Violation(f"{after} vanished.")
        name = saved_name(before.id, before.operation)
        was_saving = before.state is InstanceState.SUSPENDING and name in self.store.complete
        if was_saving and after.state in _ANEW and not before.has_local_disks:
            raise Violation(f"{after} was saved, and its memory is thrown away.")
