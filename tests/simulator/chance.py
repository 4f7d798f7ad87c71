"""What may happen in a modelled cluster, and how often each thing does.

Faults come in storms of different strength, one per run: some ends are only reached in quiet times,
others only when everything fails at once.
"""

from collections.abc import Callable, Container
from typing import Final

from simulator.node import Node
from simulator.site import book, serve
from simulator.slot import LIVE, Slot
from simulator.world import World
from tashi.domain import events as e
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState, Phase, facts
from tashi.domain.transitions import commands_in

_G: Final = GuestState

# ---- what people and daemons do -----------------------------------------------------------------


def create(world: World) -> None:
    """Somebody wants an instance, if there are not enough of them."""
    if world.manager.alive and len(world.manager.records) < world.most_instances:
        world.create()


def place(world: World) -> None:
    """The scheduler finds a waiting instance a host that has its disks."""
    records = world.manager.records.values()
    waiting = [one for one in records if facts(one.state).phase is Phase.WAITING]
    if not world.manager.alive or not waiting:
        return
    one = world.random.choice(waiting)
    hosts = world.manager.targets(one)
    if hosts:
        kind = e.Place if one.saved is None else e.PlaceSaved
        world.befall(one.id, kind(world.manager.operation(), world.random.choice(hosts)))


def command(world: World) -> None:
    """Somebody asks for something that the state allows."""
    one = world.any_record()
    kinds = [] if one is None else commands_in(one.state)
    asked = [kind for kind in kinds if kind not in {e.Place, e.PlaceSaved}]
    if one is None or not asked:
        return
    keen = world.keen_on in asked and world.likely(0.6)
    kind = world.keen_on if keen else world.random.choice(asked)
    if kind is e.Migrate:
        targets = world.manager.targets(one)
        if targets:
            target = world.random.choice(targets)
            world.befall(one.id, e.Migrate(world.manager.operation(), target))
        return
    final = kind is e.Destroy or (kind is e.Stop and not one.hosts)
    if final and world.likely(0.8):
        return  # or little else would happen
    causes = world.causes[one.id]
    causes.destroyed |= kind is e.Destroy
    causes.shut_down |= kind in {e.ShutDown, e.Stop}
    world.befall(one.id, kind(world.manager.operation()))


def drain(world: World) -> None:
    """An administrator wants a host empty, or open again."""
    if world.manager.alive:
        host = world.any_node().host_id
        world.manager.draining ^= {host}
        world.tell("to be emptied:", sorted(world.manager.draining))


def evacuate(world: World) -> None:
    """The scheduler moves one that runs on a host which is to be emptied."""
    leaving = evacuees(world) if world.manager.alive else []
    if leaving:
        move_away(world, world.random.choice(leaving))


def evacuees(world: World) -> list[Instance]:
    """Who runs on a host that is to be emptied, and could go elsewhere."""
    manager = world.manager
    return [
        one
        for one in manager.records.values()
        if one.state is InstanceState.RUNNING
        and one.host_id in manager.draining
        and manager.targets(one)
    ]


def move_away(world: World, one: Instance) -> None:
    """Begin to move an instance off its host."""
    target = world.random.choice(world.manager.targets(one))
    world.befall(one.id, e.Migrate(world.manager.operation(), target))


def wander(world: World) -> None:
    """Somebody moves an instance, for no reason."""
    manager = world.manager
    records = manager.records.values() if manager.alive else ()
    able = [one for one in records if one.state is InstanceState.RUNNING and manager.targets(one)]
    if able:
        move_away(world, world.random.choice(able))


def overdue(world: World) -> None:
    """An order was not answered in time."""
    one = world.any_record()
    if one is not None and one.host_id is not None and facts(one.state).patience is not None:
        world.befall(one.id, e.Overdue(host_id=one.host_id))


def exchange(world: World) -> None:
    """A node is told what there is for it, does some of it and says what came of it."""
    node = world.any_node()
    if node.cut or not node.is_awake or not world.manager.alive:
        return
    if not node.has_session:
        world.hello(node, answered=True)
    message = world.manager.outgoing(node.host_id)
    if message is not None:
        world.deliver(message, answered=True)
    for key in [*node.slots, *node.queue]:
        for _ in range(world.random.randint(1, 4)):
            world.work(node, key, lucky=world.likely(0.85))
    if node.has_session:
        world.deliver(node.words(), answered=world.likely(0.8))


def work(world: World) -> None:
    """A node does the next thing for one instance."""
    busy = [
        (node, key)
        for node in world.nodes.values()
        for key in {*node.slots, *node.queue}
        if node.machine.powered and node.has_work(key)
    ]
    if busy:
        node, key = world.random.choice(busy)
        world.work(node, key, lucky=world.likely(0.85))


# ---- the network --------------------------------------------------------------------------------


def send_orders(world: World) -> None:
    """A batch of orders goes out, or once more."""
    message = world.manager.outgoing(world.any_node().host_id)
    if message is not None:
        world.in_flight.append(message)


def send_words(world: World) -> None:
    """A node says what it has to say, or once more."""
    node = world.any_node()
    if node.is_awake and node.has_session:
        world.in_flight.append(node.words())


def deliver_first(world: World) -> None:
    """What was sent first arrives, and is answered."""
    if world.in_flight:
        world.deliver(world.in_flight.popleft(), answered=True)


def deliver_any(world: World) -> None:
    """Something arrives out of order; a copy may come again, and the answer may be lost."""
    if not world.in_flight:
        return
    index = world.random.randrange(len(world.in_flight))
    message = world.in_flight[index]
    if world.likely(0.7):
        del world.in_flight[index]
    world.deliver(message, answered=world.likely(0.8))


def echo(world: World) -> None:
    """What a source once said to its target comes late, or again."""
    if world.echoes:
        world.deliver(world.random.choice(world.echoes), answered=True)


def cut(world: World) -> None:
    """A host falls silent, or can be heard again."""
    node = world.any_node()
    node.cut = not node.cut and world.likely(0.5)


def hello(world: World) -> None:
    """A node asks for a session, perhaps in vain; or a hello of the past arrives."""
    node = world.any_node()
    if not node.has_session or world.likely(0.1):
        world.hello(node, answered=world.likely(0.8))


def lose_host(world: World) -> None:
    """A host counts as lost, mostly because it is silent."""
    node = world.any_node()
    silent = node.cut or not node.is_awake
    if world.manager.alive and (silent or world.likely(0.1)):
        world.tell("host", node.host_id, "is lost")
        world.manager.lose(node.host_id)


def declare_dead(world: World) -> None:
    """A host that is down is proven to be."""
    node = world.any_node()
    known = node.host_id in world.manager.sessions
    if world.manager.alive and not node.machine.powered and not known:
        world.tell("host", node.host_id, "is proven dead")
        world.note_death(node)
        world.manager.declare_dead(node.host_id)


# ---- deaths and returns -------------------------------------------------------------------------


def kill_manager(world: World) -> None:
    """The cluster manager dies, now or between its next commit and the orders."""
    if world.likely(0.5):
        world.manager.dies_after_commit = True
    else:
        world.manager.die()


def tidy(world: World) -> None:
    """The image store deletes something that nobody needs any more."""
    if world.manager.alive and world.manager.deletions:
        world.tell("deleted:", world.manager.deletions[0])
        world.manager.delete()


def start_manager(world: World) -> None:
    """The cluster manager is started again."""
    if not world.manager.alive:
        world.tell("a new reign")
        world.manager.begin_reign()


def kill_node(world: World) -> None:
    """A node manager dies."""
    node = world.any_node()
    world.tell("node manager", node.host_id, "dies")
    node.die()


def kill_node_unanswered(world: World) -> None:
    """A node manager dies before it hears that its words were taken; it will say them again."""
    nodes = [one for one in world.nodes.values() if one.is_awake and one.has_session]
    speaking = [one for one in nodes if one.machine.outbox]
    if speaking:
        node = world.random.choice(speaking)
        world.deliver(node.words(), answered=False)
        world.tell("node manager", node.host_id, "is started again")
        node.die()
        node.start()
        world.hello(node, answered=True)


def start_node(world: World) -> None:
    """A node manager is started again."""
    node = world.any_node()
    if node.machine.powered and not node.managed:
        world.tell("node manager", node.host_id, "starts")
        node.start()


def lose_power(world: World) -> None:
    """A machine loses power."""
    node = world.any_node()
    if node.machine.powered:
        world.tell("host", node.host_id, "loses power")
        world.note_death(node)
        node.lose_power()


def boot(world: World) -> None:
    """A machine comes back, perhaps with an empty disk."""
    node = world.any_node()
    if not node.machine.powered:
        empty = world.likely(0.4)
        world.tell("host", node.host_id, "boots; its disk is empty:", empty)
        node.boot(empty_disk=empty)


def obey(world: World) -> None:
    """A guest that was asked to power off does so."""
    found = _any_guest(world, {_G.RUNNING})
    if found is not None and found[2].asked and not found[2].intent:
        _, key, slot = found
        world.end_guest(key, slot, Ending.POWERED_OFF)


def end_guest(world: World) -> None:
    """A guest powers off, or its QEMU dies."""
    found = _any_guest(world, LIVE)
    if found is not None:
        _, key, slot = found
        by_itself = slot.state is not _G.FROZEN and world.likely(0.5)
        world.end_guest(key, slot, Ending.POWERED_OFF if by_itself else Ending.CRASHED)


def end_receiver(world: World) -> None:
    """A guest that waits for its memory, or has just got it, dies."""
    found = _any_guest(world, {_G.RECEIVING})
    if found is not None and found[2].outcome is None:
        _, key, slot = found
        world.tell("the receiver of", key, "dies")
        world.causes[key].died |= slot.loaded
        slot.end(Ending.CRASHED)


def blink(world: World) -> None:
    """A guest stands still by itself, or runs on by itself."""
    found = _any_guest(world, {_G.RUNNING, _G.FROZEN})
    if found is not None and not found[2].intent:
        node, key, slot = found
        world.tell("guest", key, "blinks")
        world.blinked.add(key)
        node.blink(key, slot)


def speak(world: World) -> None:
    """A guest uses an address on its network, and its node notices."""
    found = _any_guest(world, LIVE)
    if found is not None and found[0].is_awake:
        node, key, slot = found
        ip = f"192.0.2.{world.random.randint(1, 9)}"
        world.tell("guest", key, "speaks from", ip)
        world.spoken.add((key, ip))
        node.see(key, slot, ip)


def _any_guest(world: World, states: Container[GuestState]) -> tuple[Node, InstanceId, Slot] | None:
    found = [
        (node, key, slot)
        for node in world.nodes.values()
        for key, slot in node.slots.items()
        if slot.state in states
    ]
    return world.random.choice(found) if found else None


# ---- how often ----------------------------------------------------------------------------------

Action = Callable[[World], None]

_DAILY: Final[dict[Action, float]] = {
    create: 10,
    place: 25,
    command: 20,
    obey: 5,
    evacuate: 6,
    wander: 1,
    overdue: 3,
    book: 3,
    serve: 5,
    tidy: 4,
    exchange: 50,
    work: 12,
    send_orders: 5,
    send_words: 5,
    deliver_first: 6,
    start_manager: 15,
    start_node: 15,
    boot: 12,
}
_FAULTS: Final[dict[Action, float]] = {
    deliver_any: 12,
    echo: 12,
    cut: 3,
    drain: 1,
    hello: 6,
    lose_host: 3,
    declare_dead: 10,
    kill_manager: 1,
    kill_node: 2,
    kill_node_unanswered: 8,
    lose_power: 2,
    end_guest: 5,
    end_receiver: 4,
    blink: 2,
    speak: 2,
}
_RESTLESS: Final = 40
_STORMS: Final = (0.0, 0.5, 1.0, 2.0, 3.0)


def draw(world: World, events: int) -> list[Action]:
    """So many things that will happen, in order."""
    storm = world.random.choice(_STORMS)
    daily = {**_DAILY, wander: _RESTLESS if world.restless else _DAILY[wander]}
    weights = [*daily.values(), *(chance * storm for chance in _FAULTS.values())]
    return world.random.choices([*_DAILY, *_FAULTS], weights, k=events)
