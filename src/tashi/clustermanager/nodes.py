"""What nodes say: the opening of a session, their reports and inventories, and their silence.

A report is an event, never an assignment: it goes through the table of transitions, and one that
does not speak of the present (another attempt, another operation, a host that is not in the
record) never gets that far. What a node has of an instance that the books do not want there, it is
told to end.
"""

from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial
from logging import getLogger
from typing import Final

from tashi.clustermanager import hosts
from tashi.clustermanager.draft import Draft, addressed
from tashi.domain import events as e
from tashi.domain.books import Books
from tashi.domain.errors import HostNameMismatch, HostStateError, NoSuchHost
from tashi.domain.guest import Guest, Inventory
from tashi.domain.host import Host, Machine, check_machine
from tashi.domain.hostnames import check_host_name
from tashi.domain.identity import Attempt, HostId, InstanceId
from tashi.domain.instance import Instance, Spent, saved_name
from tashi.domain.instructions import NodeOrder, standing_orders
from tashi.domain.notices import Discarded
from tashi.domain.reconciliation import (
    applies,
    burial,
    compare,
    disks_lost,
    leaves_something,
    meaning,
    order_to_end,
)
from tashi.domain.states import HostState, InstanceState, Order
from tashi.domain.transitions import ON_HOST, forgotten

_log = getLogger(__name__)

_SHOWN: Final = 5
"""How many ids of guests that nobody knows a line of the log names."""


def open_session(
    draft: Draft, machine: Machine, *, register: bool, alive: bool, our_version: str | None
) -> Host:
    """Book what a node says of its machine, and the session in which it is heard from now on.

    `alive` says that the host was heard a moment ago in another session; `our_version` is the one
    a node must have, ``None`` when any will do. Raises NoSuchHost when the host is unknown and may
    not `register` itself, HostNameMismatch when another living machine has that name.
    """
    known = _known(draft, machine, register=register)
    elsewhere = (known.address, known.port) != (machine.address, machine.port)
    if alive and elsewhere and known.boot_id != machine.boot_id:
        raise HostNameMismatch(
            f"Another machine at {known.address}:{known.port} is {machine.name} and alive: give "
            "one of them another hostName.",
            host=known.id,
        )
    host = replace(
        known,
        up=True,
        state=_state(known, machine, our_version),
        memory=machine.memory,
        cores=machine.cores,
        version=machine.version,
        address=machine.address,
        port=machine.port,
        boot_id=machine.boot_id,
        networks=machine.networks,
        engine=machine.engine,
        migration_address=machine.migration_address,
        session=draft.next_session(),
    )
    draft.put(host, "CM HOST REGISTER", machine.name)
    if host.state is HostState.VERSION_MISMATCH:
        words = hosts.of_another_version(host, our_version)
        _log.warning("%s gets no new instances: %s", host.name, words)
    _bring_back(draft, host)
    return host


def orders_for(draft: Draft, host: HostId) -> list[NodeOrder]:
    """Every order that the books imply for a host, to be told again in a new session."""
    return [
        addressed(draft.books, order)
        for instance in draft.books.concerning(host)
        for order in standing_orders(instance)
        if order.host_id == host
    ]


def take_report(draft: Draft, key: InstanceId, report: e.Report) -> None:
    """Let what a node reports befall the instance, if it speaks of the present."""
    record = draft.books.instances.get(key)
    if record is None or not applies(record, report):
        _log.info("Report %s about instance %d is not of the present.", type(report).__name__, key)
        _end_if_surplus(draft, key, report, record)
        return
    event = meaning(record, report, lasted=max(0.0, draft.at - record.changed_at))
    by = draft.books.host(report.host_id).name
    after = draft.befall(key, event, by)
    if isinstance(report, e.GuestEnded):
        _end_if_surplus(draft, key, report, after)
    without_disks = isinstance(report, e.StartFailed) and not report.disks_remain
    if without_disks and after.disks_on == report.host_id:
        draft.befall(key, disks_lost(after, report.host_id, report.words), by)


def take_inventory(draft: Draft, host: HostId, inventory: Inventory) -> None:
    """Hold a node's list of guests against the books, and act on the differences."""
    name = draft.books.host(host).name
    records = list(draft.books.concerning(host))
    findings = compare(records, host, inventory, partial(_is_ours, draft))
    for key, event in findings.events:
        draft.befall(key, event, name)
    for guest in findings.surplus:
        _log.warning(
            "%s has a guest of instance %d, which is over: ended.", name, guest.instance_id
        )
        _end(draft, host, guest.instance_id, guest.attempt)
    if findings.beyond:
        _log.error("%s has %s: left alone.", name, _said(findings.beyond))
    for guest in findings.beyond:
        # Or the next instance with that id would get somebody else's guest.
        draft.counters = draft.counters.beyond(guest.instance_id)


def _said(unknown: Sequence[Guest]) -> str:
    """Those guests in words: one line for a host, however many it has."""
    if len(unknown) == 1:
        return f"a guest with the unknown id {unknown[0].instance_id}"
    shown = ", ".join(str(one.instance_id) for one in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return f"{len(unknown)} guests with unknown ids ({shown}{more})"


def lose(draft: Draft, key: HostId, words: str) -> None:
    """Count a host as down; what runs there is orphaned until it comes back."""
    host = draft.books.host(key)
    draft.put(replace(host, up=False), "CM HOST LOST", "")
    for instance in list(draft.books.concerning(key)):
        if instance.host_id == key and instance.state in ON_HOST:
            draft.befall(instance.id, e.HostLost(host_id=key, words=words))


def may_have_saved(books: Books, key: HostId) -> list[str]:
    """The names under which a host that is silent may have saved memory which is of use."""
    return [
        saved_name(one.id, one.operation)
        for one in books.concerning(key)
        if one.host_id == key
        and InstanceState.SUSPENDING in {one.state, one.was}
        and not one.has_local_disks
    ]


def bury(draft: Draft, key: HostId, memories: Container[str], by: str) -> Host:
    """Take it from an administrator that a silent host is dead, and free what it held.

    Its guests count as lost, its disks too; each instance's `on_loss` says what becomes of it.
    `memories` are those of `may_have_saved` that the image store has.
    Raises HostStateError while the host is up: a living host must be asked, not declared dead.
    """
    host = draft.books.host(key)
    if host.up:
        raise HostStateError(
            f"{host.name} is up: only a silent host can be dead; drain empties one that is up.",
            host=key,
        )
    words = f"{host.name} was declared dead."
    draft.put(replace(host, boot_id="", port=0), "CM HOST DEAD", by)
    for instance in list(draft.books.concerning(key)):
        _bury_with(draft, instance, memories, (key, words))
    return draft.books.host(key)


def _bury_with(
    draft: Draft, record: Instance, memories: Container[str], death: tuple[HostId, str]
) -> None:
    while (event := burial(record, *death, memories)) is not None:
        after = draft.befall(record.id, event)
        if after == record:
            return
        record = after


def _known(draft: Draft, machine: Machine, *, register: bool) -> Host:
    check_host_name(machine.name)
    check_machine(machine)
    for host in draft.books.hosts.values():
        if host.name == machine.name:
            return host
    if not register:
        raise NoSuchHost(
            f"There is no host {machine.name}: add it with tashi-admin addHost --host "
            f"{machine.name}, or let it register itself with registerHost = True."
        )
    return Host(id=draft.next_host(), name=machine.name)


def _state(known: Host, machine: Machine, our_version: str | None) -> HostState:
    if known.state is HostState.DRAINED:
        return known.state
    return hosts.open_state(machine.version, our_version)


def _bring_back(draft: Draft, host: Host) -> None:
    for instance in list(draft.books.concerning(host.id)):
        if instance.state is InstanceState.ORPHANED and instance.host_id == host.id:
            draft.befall(instance.id, e.HostBack(host_id=host.id), host.name)


def _end_if_surplus(
    draft: Draft, key: InstanceId, report: e.Report, record: Instance | None
) -> None:
    if isinstance(report, e.DisksStored) and (record is None or record.stored != report.stored):
        _discard(draft, key, Spent(report.stored))
    if isinstance(report, e.Saved) and (record is None or record.saved != report.saved):
        _discard(draft, key, Spent(report.saved, memory=True))
    wanted = record is not None and report.host_id in {
        *record.hosts, *record.leftovers, record.disks_on,
    }  # fmt: skip
    if wanted or not leaves_something(report) or not _is_ours(draft, key):
        return
    _end(draft, report.host_id, key, report.attempt, order_to_end(report))


def _is_ours(draft: Draft, key: InstanceId) -> bool:
    """Whether the books know what became of the instance with that id."""
    return key in draft.books.instances or draft.counters.gave_out(key)


def _discard(draft: Draft, key: InstanceId, spent: Spent) -> None:
    """See that it is deleted, if it is the instance's and no stranger's."""
    if not spent.name.startswith(f"{key}-") or not _is_ours(draft, key):
        return
    if key not in draft.books.instances:
        # Or it would be owed by nobody, should the cluster manager end before it is deleted.
        draft.put(forgotten(key))
    draft.befall(key, Discarded(spent))


def _end(
    draft: Draft, host: HostId, key: InstanceId, attempt: Attempt, by: Order = Order.KILL
) -> None:
    draft.instruct(NodeOrder(host, by, key, attempt, draft.next_operation()))
