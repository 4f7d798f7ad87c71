"""The calls of the scheduler and of node managers."""

from concurrent.futures import Future
from typing import Any

from tashi.clustermanager import instances, nodes
from tashi.clustermanager.dispatch import OpenSession
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.guest import Glimpse, Inventory
from tashi.domain.host import Machine
from tashi.domain.identity import HostId, InstanceId, Session
from tashi.domain.permissions import Caller, check_speaks_for
from tashi.wire import forms as f
from tashi.wire.glimpses import GlimpseForm
from tashi.wire.orders import report_record


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = DaemonsCalls(office)
    return {
        "activateVm": calls.activate,
        "placeVms": calls.place,
        "registerNodeManager": calls.register,
        "reportNode": calls.report,
        "tellGuests": calls.tell,
    }


class DaemonsCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def activate(self, caller: Caller, request: str, instance_id: int, host_id: int) -> Future[Any]:
        """Book one proposal."""
        proposal = f.ProposalForm(instance_id, host_id)
        return self._office.ledger.ask(
            lambda draft: self._verdicts(draft, (proposal,), caller)[0], request, f.VerdictForm
        )

    def place(
        self, caller: Caller, request: str, proposals: tuple[f.ProposalForm, ...]
    ) -> Future[Any]:
        """Book every proposal that is still possible."""
        return self._office.ledger.ask(
            lambda draft: self._verdicts(draft, proposals, caller),
            request,
            tuple[f.VerdictForm, ...],
        )

    def register(
        self, caller: Caller, request: str, machine: f.MachineForm, register: bool
    ) -> Future[Any]:
        """Open a session with a node."""
        check_speaks_for(machine.name, caller)
        record = f.to_record(machine, Machine)
        return self._office.ledger.ask(
            lambda draft: self._open(draft, record, register=register), request, f.SessionForm
        )

    def report(  # a node's message has these parts
        self,
        caller: Caller,
        _request: str,
        session: f.SessionForm,
        number: int,
        reports: tuple[f.ReportForm, ...],
        inventory: f.InventoryForm | None,
    ) -> Future[Any]:
        """Take a node's reports in order; each counts once."""
        host, of = HostId(session.host_id), Session(session.session)
        spoken = [(InstanceId(one.instance_id), report_record(one, host)) for one in reports]
        listed = None if inventory is None else f.to_record(inventory, Inventory)
        monitor = self._office.monitor

        def act(draft: Draft) -> bool:
            self._check(draft, host, caller)
            if not monitor.is_new(host, of, number):
                return True
            for key, report in spoken:
                nodes.take_report(draft, key, report)
            if listed is not None and listed.session == of:
                nodes.take_inventory(draft, host, listed)
            draft.once_durable(lambda: monitor.took(host, of, number))
            return True

        return self._office.ledger.ask(act)

    def tell(
        self,
        caller: Caller,
        _request: str,
        host_id: int,
        session: int,
        guests: tuple[GlimpseForm, ...],
    ) -> Future[Any]:
        """Put what a node knows of its guests right now on the board; nothing is booked."""
        office, host = self._office, HostId(host_id)
        glimpses = [f.to_record(one, Glimpse) for one in guests]

        def act(draft: Draft) -> bool:
            self._check(draft, host, caller)
            office.monitor.hear(host, Session(session))
            office.board.take(draft.books, host, glimpses, office.clock.monotonic())
            return True

        # Sessions belong to the ledger's thread, and so does the board.
        return office.ledger.ask(act)

    def _check(self, draft: Draft, host: HostId, caller: Caller) -> None:
        """See that a node speaks for itself; one whose host was removed is told so."""
        check_speaks_for(draft.books.host(host).name, caller)
        self._office.monitor.saw_certificate(host, caller.until)

    def _open(self, draft: Draft, machine: Machine, *, register: bool) -> f.SessionForm:
        office = self._office
        known = [host.id for host in draft.books.hosts.values() if host.name == machine.name]
        host = nodes.open_session(
            draft,
            machine,
            register=register,
            alive=any(map(office.monitor.is_alive, known)),
            our_version=office.version,
        )
        office.monitor.hear_of(host.id)
        draft.once_durable(lambda: office.monitor.open_session(host.id, host.session))
        draft.instruct(OpenSession(host, tuple(nodes.orders_for(draft, host.id))))
        return f.SessionForm(host.id, draft.counters.epoch, host.session)

    def _verdicts(
        self, draft: Draft, proposals: tuple[f.ProposalForm, ...], caller: Caller
    ) -> tuple[f.VerdictForm, ...]:
        pairs = [(InstanceId(one.instance_id), HostId(one.host_id)) for one in proposals]
        policy = self._office.rules.policy
        verdicts = instances.place_many(draft, pairs, policy, caller.name)
        return tuple(f.VerdictForm(key, not words, words) for key, words in verdicts)
