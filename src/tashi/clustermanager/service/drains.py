"""The calls by which hosts are emptied and opened again, and the moves proposed for it."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from tashi.clustermanager import drains, hosts, reasons
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.books import Books
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.permissions import Caller
from tashi.domain.placement.drain import DrainPlan, Evacuee
from tashi.domain.placement.filters import Refusal
from tashi.wire import forms as f
from tashi.wire.answers import HostWhyForm, ReasonForm
from tashi.wire.drains import DrainPlanForm, EvacueeForm


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = DrainsCalls(office)
    return {
        "drainHost": calls.drain,
        "cancelDrain": calls.cancel,
        "undrainHost": calls.undrain,
        "getDrainPlan": calls.plan,
        "moveVms": calls.move,
    }


class DrainsCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def drain(self, caller: Caller, request: str, host_id: int) -> Future[Any]:
        """Wish a host empty."""
        key = HostId(host_id)
        return self._office.change(
            request, lambda draft: drains.begin(draft, key, caller.name), f.HostForm
        )

    def cancel(self, caller: Caller, request: str, host_id: int) -> Future[Any]:
        """Take the wish back."""
        key = HostId(host_id)
        return self._office.change(
            request, lambda draft: drains.cancel(draft, key, caller.name), f.HostForm
        )

    def undrain(self, caller: Caller, request: str, host_id: int) -> Future[Any]:
        """Open a host again."""
        key, ours = HostId(host_id), self._office.version
        return self._office.change(
            request, lambda draft: hosts.reopen(draft, key, ours, caller.name), f.HostForm
        )

    def plan(self, _caller: Caller, _request: str, host_id: int) -> DrainPlanForm:
        """Say what emptying a host means, beside the hosts that are being emptied already."""
        published = self._office.ledger.published
        host = published.books.host(HostId(host_id))
        made = reasons.plan_to_empty(published.books, host.id, self._office.rules.policy)
        evacuees = [one for one in made.evacuees if one.host_id == host.id]
        return DrainPlanForm(
            self._office.host_form(host),
            tuple(self._evacuee(made, one) for one in evacuees),
            published.next_event,
        )

    def move(
        self, caller: Caller, request: str, proposals: tuple[f.ProposalForm, ...]
    ) -> Future[Any]:
        """Begin every proposed move that is possible."""
        pairs = [(InstanceId(one.instance_id), HostId(one.host_id)) for one in proposals]
        policy = self._office.rules.policy

        def act(draft: Draft) -> tuple[f.VerdictForm, ...]:
            verdicts = drains.move_many(draft, pairs, policy, caller.name)
            return tuple(f.VerdictForm(key, not words, words) for key, words in verdicts)

        return self._office.ledger.ask(act, request, tuple[f.VerdictForm, ...])

    def _evacuee(self, made: DrainPlan, one: Evacuee) -> EvacueeForm:
        instance, books, policy = one.instance, made.books, self._office.rules.policy
        near = reasons.nearest(made, one, policy) if one.tally else []
        return EvacueeForm(
            instance_id=instance.id,
            name=instance.name,
            state=instance.state,
            fate=one.fate,
            words=reasons.of_evacuee(made, one, policy),
            target_id=one.target_id,
            target="" if one.target_id is None else books.host(one.target_id).name,
            hosts=tuple(_why(books, key, refusals) for key, refusals in near),
        )


def _why(books: Books, key: HostId, found: Sequence[Refusal]) -> HostWhyForm:
    reasons = tuple(ReasonForm(one.rule, one.words, one.short_by) for one in found)
    return HostWhyForm(key, books.hosts[key].name, reasons)
