"""A model of the cluster manager: the real table and rules, with books that survive its death.

What it commits is durable at once; sessions and senders are in memory and die with it. It may die
between a commit and the orders that follow from it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from simulator.messages import Orders, Protections, Words
from simulator.store import SavedMemory
from tashi.domain import events as e
from tashi.domain.guest import Inventory
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, Operation, Session
from tashi.domain.instance import Instance, Spent
from tashi.domain.instructions import (
    DeleteSpent,
    Instruction,
    NodeOrder,
    owed_deletions,
    standing_orders,
)
from tashi.domain.notices import Deleted, Discarded
from tashi.domain.reconciliation import (
    applies,
    burial,
    compare,
    disks_lost,
    leaves_something,
    meaning,
    order_to_end,
)
from tashi.domain.states import InstanceState, Order
from tashi.domain.transitions import ON_HOST, forgotten, is_forgotten, step

Watcher = Callable[[Instance, Instance], None]


@dataclass(slots=True)
class Sender:
    """The orders of one session: one batch under way, the rest behind it."""

    session: Session
    waiting: deque[NodeOrder] = field(default_factory=deque)
    batch: tuple[NodeOrder, ...] = ()
    number: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether everything was taken up."""
        return not self.batch and not self.waiting

    def next_batch(self) -> tuple[NodeOrder, ...]:
        """What is sent next; the same until it is taken up."""
        if not self.batch and self.waiting:
            self.batch = tuple(self.waiting)
            self.waiting.clear()
            self.number += 1
        return self.batch


@dataclass(slots=True)
class ClusterManager:
    """The books of a modelled cluster and what is told to its nodes.

    `on_change` sees every record before and after. `dies_after_commit`, when set, kills it at the
    next commit, before any instruction is given.
    """

    store: SavedMemory
    protections: Protections
    on_change: Watcher

    met: set[tuple[InstanceState, type[e.Event]]] = field(default_factory=set)
    """What befell instances in which states, other than in vain."""

    # durable
    records: dict[InstanceId, Instance] = field(default_factory=dict)
    draining: set[HostId] = field(default_factory=set)
    next_operation: int = 1
    next_session: int = 1
    next_instance: int = 1
    epoch: Epoch = Epoch(0)

    # in memory
    alive: bool = False
    sessions: dict[HostId, Session] = field(default_factory=dict)
    heard: dict[HostId, int] = field(default_factory=dict)
    senders: dict[HostId, Sender] = field(default_factory=dict)
    deletions: deque[DeleteSpent] = field(default_factory=deque)
    dies_after_commit: bool = False

    def begin_reign(self) -> None:
        """Start with the books as they were committed."""
        self.alive, self.dies_after_commit = True, False
        self.epoch = Epoch(self.epoch + 1)
        for record in self.records.values() if self.protections.debts else ():
            self.deletions.extend(owed_deletions(record))

    def die(self) -> None:
        """Lose everything that is not committed."""
        self.alive = False
        self.sessions.clear()
        self.heard.clear()
        self.senders.clear()
        self.deletions.clear()

    def targets(self, one: Instance) -> list[HostId]:
        """Where the instance may be moved, or placed: hosts that answer and take anybody."""
        return [
            host
            for host in self.sessions
            if host not in one.hosts and host not in self.draining and one.disks_on in {None, host}
        ]

    # ---- commands -----------------------------------------------------------------------------

    def accept(self, wanted: Instance) -> None:
        """Put a new record into the books."""
        self.next_instance = max(self.next_instance, wanted.id + 1)
        self.records[wanted.id] = wanted

    def operation(self) -> Operation:
        """A number for the next command."""
        self.next_operation += 1
        return Operation(self.next_operation)

    def befall(self, key: InstanceId, event: e.Event) -> None:
        """Let an event befall an instance, commit, and give the instructions that follow."""
        before = self.records[key]
        result = step(before, event)
        if result.stale:
            return
        self.met.add((before.state, type(event)))
        self._commit(before, result.record)
        self._give(result.instructions)

    def _commit(self, before: Instance, after: Instance) -> None:
        if is_forgotten(after):
            self.records.pop(after.id)
        else:
            self.records[after.id] = after
        self.on_change(before, after)
        if self.dies_after_commit:
            self.die()

    def _give(self, instructions: Iterable[Instruction]) -> None:
        for one in instructions if self.alive else ():
            if isinstance(one, DeleteSpent):
                self.deletions.append(one)
            elif isinstance(one, NodeOrder) and one.host_id in self.senders:
                self.senders[one.host_id].waiting.append(one)

    # ---- nodes --------------------------------------------------------------------------------

    def delete(self) -> None:
        """Have the image store delete the next of what is spent, and cross it out."""
        owed = self.deletions.popleft()
        self.store.delete(owed.spent)
        if owed.instance_id in self.records:
            self.befall(owed.instance_id, Deleted(owed.spent))

    def open_session(self, host: HostId) -> Session:
        """Begin a session with a node: what was lost is back, and is told all orders again."""
        session = Session(self.next_session)
        self.next_session += 1
        for record in list(self.records.values()):
            if record.state is InstanceState.ORPHANED and record.host_id == host:
                self.befall(record.id, e.HostBack(host_id=host))
        self.sessions[host], self.heard[host] = session, 0
        orders = (
            order
            for record in self.records.values()
            for order in standing_orders(record)
            if order.host_id == host
        )
        self.senders[host] = Sender(session, deque(orders))
        return session

    def outgoing(self, host: HostId) -> Orders | None:
        """The orders that are sent to a node next."""
        sender = self.senders.get(host)
        batch = sender.next_batch() if sender else ()
        if sender is None or not batch:
            return None
        return Orders(host, self.epoch, sender.session, sender.number, batch)

    def taken_up(self, message: Orders) -> None:
        """A node said that it took a batch up."""
        sender = self.senders.get(message.host_id)
        if sender and (sender.session, sender.number) == (message.session, message.number):
            sender.batch = ()

    def hear(self, words: Words) -> bool:
        """Take a node's words; False when they belong to a session that is over."""
        host = words.host_id
        present = self.sessions.get(host) == words.session
        if self.protections.sessions:
            if not present:
                return False
            if words.number <= self.heard[host]:
                return True
        for key, report in words.reports:
            self._take_report(key, report)
        if words.inventory is not None:
            self._take_inventory(host, words.inventory)
        if self.alive:
            self.heard[host] = words.number
        return self.alive and present

    def lose(self, host: HostId) -> None:
        """The host has been silent for too long."""
        self.sessions.pop(host, None)
        self.senders.pop(host, None)
        for record in list(self.records.values()):
            if record.host_id == host and record.state in ON_HOST:
                self.befall(record.id, e.HostLost(host_id=host))

    def declare_dead(self, host: HostId) -> None:
        """Somebody has proof that nothing runs on the host any more."""
        for before in list(self.records.values()):
            record = before
            while (event := burial(record, host, "fenced", self.store.complete)) is not None:
                self.befall(record.id, event)
                after = self.records.get(before.id, record)
                if after == record:
                    break
                record = after

    def _take_report(self, key: InstanceId, spoken: e.Report) -> None:
        record = self.records.get(key)
        report = self._trusted(record, spoken)
        if record is not None and applies(record, report):
            event = meaning(record, report, lasted=0.0)
            self.befall(key, event)
            after = self.records.get(key)
            if isinstance(report, e.GuestEnded):
                self._end_if_surplus(key, report)
            failed = isinstance(report, e.StartFailed) and not report.disks_remain
            if failed and after is not None and after.disks_on == report.host_id:
                self.befall(key, disks_lost(after, report.host_id, "It says so."))
            return
        if isinstance(report, e.DisksStored) and (record is None or record.stored != report.stored):
            self._discard(key, Spent(report.stored))
        if isinstance(report, e.Saved) and (record is None or record.saved != report.saved):
            self._discard(key, Spent(report.saved, memory=True))
        self._end_if_surplus(key, report)

    def _take_inventory(self, host: HostId, inventory: Inventory) -> None:
        concerned = [one for one in self.records.values() if _is_wanted(one, host)]
        if not self.protections.attempts:
            guests = tuple(
                replace(guest, attempt=self.records[guest.instance_id].attempt)
                if guest.instance_id in self.records
                else guest
                for guest in inventory.guests
            )
            inventory = replace(inventory, guests=guests)
        findings = compare(concerned, host, inventory, lambda key: key < self.next_instance)
        for key, event in findings.events:
            self.befall(key, event)
        for guest in findings.surplus:
            self._end(host, guest.instance_id, guest.attempt)

    def _trusted(self, record: Instance | None, report: e.Report) -> e.Report:
        """The report, with the numbers that are not looked at made to fit."""
        if record is not None and not self.protections.attempts:
            report = replace(report, attempt=record.attempt)
        if record is not None and not self.protections.operations:
            report = replace(report, operation=record.operation)
        return report

    def _discard(self, key: InstanceId, spent: Spent) -> None:
        if key not in self.records and self.protections.debts:
            self.records[key] = forgotten(key)
        if key in self.records:
            self.befall(key, Discarded(spent))
        else:
            self._give([DeleteSpent(key, spent)])

    def _end_if_surplus(self, key: InstanceId, report: e.Report) -> None:
        wanted = _is_wanted(self.records.get(key), report.host_id)
        if leaves_something(report) and not wanted:
            self._end(report.host_id, key, report.attempt, order_to_end(report))

    def _end(self, host: HostId, key: InstanceId, attempt: Attempt, by: Order = Order.KILL) -> None:
        self._give([NodeOrder(host, by, key, attempt, self.operation())])


def _is_wanted(record: Instance | None, host: HostId) -> bool:
    if record is None:
        return False
    return host in {*record.hosts, *record.leftovers, record.disks_on}
