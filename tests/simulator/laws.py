"""What must hold: at every moment, and once everything is mended and has arrived."""

from typing import Final

from simulator.chance import evacuees, move_away, start_manager
from simulator.node import Node
from simulator.site import check as check_site
from simulator.site import serve_one
from simulator.store import Violation
from simulator.world import World
from tashi.domain.events import Overdue
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState, Phase, facts

_S: Final = InstanceState
_AT_REST: Final = {
    _S.RUNNING: GuestState.RUNNING,
    _S.PAUSED: GuestState.FROZEN,
    _S.SHUTTING_DOWN: GuestState.RUNNING,
}
_BLINKING: Final = {GuestState.RUNNING, GuestState.FROZEN}
_RESTLESS: Final = {Phase.MOVING, Phase.LOST, Phase.ENDED}
MOST_ROUNDS: Final = 60


def check(world: World) -> None:
    """Nothing runs twice, and nothing runs where the books do not say so."""
    seen = set[InstanceId]()
    for host, node in world.nodes.items():
        for key, slot in node.slots.items():
            if not slot.is_live:
                continue
            if key in seen:
                raise Violation(f"Instance {key} runs twice.")
            seen.add(key)
            record = world.manager.records.get(key)
            if record is None or host not in record.hosts:
                raise Violation(f"Instance {key} runs on host {host}; the books say {record}.")


def settle(world: World) -> None:
    """Mend all faults, let everything arrive, and see that nothing is stuck or left over."""
    _mend(world)
    for _ in range(MOST_ROUNDS):
        _round(world)
        check(world)
        if _is_quiet(world) and not _repeat_the_late(world):
            _check_rest(world)
            return
    raise Violation("The cluster does not come to rest.")


def _mend(world: World) -> None:
    start_manager(world)
    world.manager.dies_after_commit = False
    for node in world.nodes.values():
        node.cut = False
        if not node.machine.powered:
            node.boot(empty_disk=False)
        if not node.managed:
            node.start()


def _round(world: World) -> None:
    while world.in_flight:
        world.deliver(world.in_flight.popleft(), answered=True)
    for host, node in world.nodes.items():
        if not node.has_session:
            world.hello(node, answered=True)
        message = world.manager.outgoing(host)
        if message is not None:
            world.deliver(message, answered=True)
        world.deliver(node.words(), answered=True)
        for key in {*node.slots, *node.queue}:
            world.work(node, key, lucky=True)
            check(world)
        _obey(world, node)
    while world.manager.deletions:
        world.manager.delete()
    for one in evacuees(world):
        move_away(world, one)
    for one in list(world.manager.records.values()):
        serve_one(world, one, lucky=True)


def _obey(world: World, node: Node) -> None:
    """Guests that were asked to power off do so in the end."""
    for key, slot in node.slots.items():
        if slot.asked and slot.state is GuestState.RUNNING and slot.intent is None:
            world.end_guest(key, slot, Ending.POWERED_OFF)


def _is_quiet(world: World) -> bool:
    """Whether nothing more is on its way or to be done."""
    senders = world.manager.senders.values()
    nodes = world.nodes.values()
    return (
        not world.in_flight
        and not world.manager.deletions
        and len(senders) == len(nodes)
        and all(sender.is_idle for sender in senders)
        and all(node.has_session and node.is_idle for node in nodes)
    )


def _repeat_the_late(world: World) -> bool:
    records = world.manager.records.values()
    late = [one for one in records if facts(one.state).patience is not None]
    for one in late:
        assert one.host_id is not None
        world.befall(one.id, Overdue(host_id=one.host_id))
    return bool(late)


def _check_rest(world: World) -> None:
    if left := evacuees(world):
        raise Violation(f"{left[0]} is left on a host that is to be emptied.")
    check_site(world)
    _check_store(world)
    for record in world.manager.records.values():
        _check_record(world, record)
    for host, node in world.nodes.items():
        for key, slot in node.slots.items():
            owner = world.manager.records.get(key)
            if owner is None or host not in {owner.host_id, owner.disks_on}:
                raise Violation(f"{slot} of instance {key} is left over on host {host}.")


def _check_store(world: World) -> None:
    """The image store has what the books want, and nothing else."""
    records = world.manager.records.values()
    memory = {one.saved for one in records} - {None}
    disks = {one.stored for one in records} - {None}
    if left := (world.store.complete | world.store.used) - memory:
        raise Violation(f"Saved memory is left over: {left}.")
    if left := world.store.disks - disks:
        raise Violation(f"Stored disks are left over: {left}.")


def _check_addresses(world: World, record: Instance) -> None:
    booked = {listing.mac: listing.ip for listing in record.listings}
    for nic in record.nics:
        if nic.mac in booked and nic.ip != booked[nic.mac]:
            raise Violation(f"{record} has the address {nic.ip}, and not the one that is booked.")
        known = nic.mac in booked or (record.id, nic.ip) in world.spoken
        if nic.ip is not None and not known:
            raise Violation(f"{record} has the address {nic.ip}, which it never used.")


def _check_record(world: World, record: Instance) -> None:
    if facts(record.state).phase in _RESTLESS:
        raise Violation(f"{record} is stuck in {record.state.title}.")
    if record.saved is not None and record.saved not in world.store.complete | world.store.used:
        raise Violation(f"{record} has lost its saved memory.")
    if record.stored is not None and record.stored not in world.store.disks:
        raise Violation(f"{record} has lost its disks.")
    if record.disks_on is not None and record.has_local_disks:
        kept = world.nodes[record.disks_on].slots.get(record.id)
        if kept is None or not kept.disks:
            raise Violation(f"{record} waits for disks that host {record.disks_on} has lost.")
    _check_addresses(world, record)
    if record.host_id is None:
        return
    slot = world.nodes[record.host_id].slots.get(record.id)
    stands = slot.state if slot else GuestState.GONE
    if stands in _BLINKING and record.id in world.blinked:
        return  # The books learn of it by the next inventory.
    if stands is not _AT_REST[record.state]:
        raise Violation(f"{record} is {record.state.title}, but its guest is {stands}.")
