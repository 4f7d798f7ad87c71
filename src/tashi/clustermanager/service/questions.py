"""The calls that ask: lists, the reason why, and events to follow.

Lists are read from the published books, which never change under a reader, so a question neither
waits for the ledger nor holds it up.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from tashi.clustermanager import reasons
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.history import Events
from tashi.clustermanager.service.aside import elsewhere
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.books import Books
from tashi.domain.host import Host
from tashi.domain.identity import EventNumber, InstanceId, UserId
from tashi.domain.instance import Instance
from tashi.domain.permissions import Caller, Role
from tashi.domain.placement import filters, moving
from tashi.domain.placement.filters import Policy, Refusal
from tashi.domain.placement.plan import slots
from tashi.domain.states import InstanceState, Phase, facts
from tashi.wire import answers
from tashi.wire import forms as f
from tashi.wire.chaining import then
from tashi.wire.forms import entry_form

T = TypeVar("T")

_LONGEST_WATCH_SECONDS = 60.0
_SILENT_SECONDS = _LONGEST_WATCH_SECONDS + 10.0
"""A scheduler that has asked for events and not come back for this long has died."""
_NOBODY = UserId(-1)
_USERS = "lists of users"
_HISTORIES = "long histories"
_FEW_EVENTS = 32
_LISTS = "long lists"
_FEW_INSTANCES = 500
"""So many are listed in 2 ms."""

Refusals = Callable[[Books, Host, Instance, Policy], tuple[Refusal, ...]]
"""How the rules are asked: for an instance that waits, or for one that might move."""


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = Questions(office)
    return {
        "getInstances": calls.instances,
        "getHosts": calls.hosts,
        "getNetworks": calls.networks,
        "getUsers": calls.users,
        "getSlots": calls.slots,
        "why": calls.why,
        "getReign": calls.reign,
        "getSnapshot": calls.snapshot,
        "watch": calls.watch,
    }


class Questions:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._began = office.clock.wall()
        self._scheduler_heard: float | None = None

    def instances(
        self,
        caller: Caller,
        _request: str,
        stats: bool,
        instance_id: int | None,
        name: str | None,
        mine: bool,
    ) -> Future[Any] | tuple[f.InstanceForm, ...]:
        """Every instance that is not over, or just one, or those of a name, or one's own."""
        books = self._office.ledger.books

        def listed() -> tuple[f.InstanceForm, ...]:
            if instance_id is not None:
                asked = [books.instance(InstanceId(instance_id))]
            else:
                asked = books.visible() if name is None else books.named(name)
            return tuple(
                self._office.instance_form(one, stats=stats)
                for one in asked
                if name in {None, one.name} and not (mine and one.user_id != caller.user_id)
            )

        return listed() if instance_id is not None or name else self._in_turn(books, listed)

    def hosts(self, _caller: Caller, _request: str) -> tuple[f.HostForm, ...]:
        """Every host."""
        return tuple(map(self._office.host_form, self._hosts()))

    def networks(self, _caller: Caller, _request: str) -> tuple[f.NetworkForm, ...]:
        """Every network, and which is the default."""
        default = self._office.rules.default_network
        networks = sorted(self._office.ledger.books.networks.values(), key=lambda one: one.id)
        return tuple(f.NetworkForm(one.id, one.name, one.id == default) for one in networks)

    def users(
        self, _caller: Caller, _request: str, user_id: int | None, name: str | None
    ) -> Future[Any] | tuple[f.UserForm, ...]:
        """Every user, of the directory and of Tashi's own list, or just one, or those of a name."""
        office = self._office

        def listed() -> tuple[f.UserForm, ...]:
            of_directory, own = office.people.users(), office.ledger.books.users
            if user_id is None:
                asked = [one for _, one in sorted({**of_directory, **dict(own)}.items())]
            else:
                found = own.get(UserId(user_id)) or of_directory.get(UserId(user_id))
                asked = [] if found is None else [found]
            return tuple(f.UserForm(one.id, one.name) for one in asked if name in {None, one.name})

        # The directory's first list is waited for a moment, though not by who serves others.
        if office.persons.are_awaited():
            return elsewhere(office.workers, _USERS, listed)
        return listed()

    def slots(self, caller: Caller, _request: str, cores: int, memory: int) -> answers.SlotsForm:
        """How many instances of that size would fit now."""
        office = self._office
        user = _NOBODY if caller.user_id is None else caller.user_id
        count = slots(office.ledger.books, office.rules.policy, cores, memory, user)
        return answers.SlotsForm(count, cores, memory)

    def why(self, _caller: Caller, _request: str, instance_id: int) -> answers.WhyForm:
        """Why an instance is where it is."""
        books = self._office.ledger.books
        instance = books.instance(InstanceId(instance_id))
        ask, hosts = filters.refusals, self._hosts()
        if instance.state is InstanceState.RUNNING:
            ask, hosts = moving.refusals, [one for one in hosts if one.id != instance.host_id]
        elif facts(instance.state).phase is not Phase.WAITING:
            hosts = []
        found = tuple(self._why(ask, instance, host) for host in hosts)
        progress = self._office.board.progress(instance)
        words = reasons.why(books, instance, self._office.rules.policy, progress)
        if instance.host_id is None and not all(one.reasons for one in found):
            words += self._of_a_silent_scheduler()
        return answers.WhyForm(instance.id, instance.name, instance.state, words, found)

    def _of_a_silent_scheduler(self) -> str:
        """That a host would take it, and nobody is there to say so; else nothing."""
        heard, now = self._scheduler_heard, self._office.clock.monotonic()
        if heard is not None and now - heard < _SILENT_SECONDS:
            return ""
        span = "since the cluster manager began" if heard is None else f"for {now - heard:.0f} s"
        return f" A host would take it, but no scheduler was heard {span}: see that one runs."

    def reign(self, _caller: Caller, _request: str) -> answers.ReignForm:
        """Since when this cluster manager leads."""
        return answers.ReignForm(self._office.ledger.epoch, self._began)

    def snapshot(self, _caller: Caller, _request: str) -> Future[Any] | f.SnapshotForm:
        """Every record, and the event to follow from."""
        published = self._office.ledger.published
        books = published.books

        def listed() -> f.SnapshotForm:
            return f.SnapshotForm(
                tuple(f.to_form(one, f.InstanceForm) for one in books.instances.values()),
                tuple(f.to_form(one, f.HostForm) for one in books.hosts.values()),
                tuple(f.to_form(one, f.NetworkForm) for one in books.networks.values()),
                tuple(f.to_form(one, f.UserForm) for one in books.users.values()),
                published.next_event,
            )

        return self._in_turn(books, listed)

    def watch(
        self,
        caller: Caller,
        _request: str,
        since: int | None,
        timeout: float,
        instance_id: int | None,
    ) -> Future[Any] | f.EventsForm:
        """Events from a number on; without one, the number of the next."""
        office = self._office
        if since is None:
            return f.EventsForm((), office.ledger.published.next_event)
        until = office.clock.monotonic() + min(max(timeout, 0.0), _LONGEST_WATCH_SECONDS)
        if caller.role is Role.SCHEDULER:
            self._scheduler_heard = office.clock.monotonic()
        key = None if instance_id is None else InstanceId(instance_id)

        def look(_: Draft) -> Future[Events]:
            return office.ledger.history.watch(EventNumber(since), until, key)

        def shape(events: Events) -> f.EventsForm:
            return f.EventsForm(tuple(map(entry_form, events.entries)), events.next)

        def shaped(events: Events) -> Future[Any] | f.EventsForm:
            # What is short is shaped at once, by the ledger's thread; what is long holds up nobody.
            if len(events.entries) <= _FEW_EVENTS:
                return shape(events)
            return elsewhere(office.workers, _HISTORIES, lambda: shape(events))

        # The history belongs to the ledger's thread, so the look is taken there.
        return then(then(office.ledger.ask(look), lambda watched: watched), shaped)

    def _in_turn(self, books: Books, listed: Callable[[], T]) -> Future[Any] | T:
        """What is listed; a long list at once with no other, and not by who serves others.

        Several would take Python's lock from each other, and each in turn from the ledger.
        """
        if len(books.instances) <= _FEW_INSTANCES:
            return listed()
        return elsewhere(self._office.workers, _LISTS, listed)

    def _hosts(self) -> list[Host]:
        return sorted(self._office.ledger.books.hosts.values(), key=lambda host: host.id)

    def _why(self, ask: Refusals, instance: Instance, host: Host) -> answers.HostWhyForm:
        office = self._office
        found = ask(office.ledger.books, host, instance, office.rules.policy)
        reasons = tuple(answers.ReasonForm(one.rule, one.words, one.short_by) for one in found)
        return answers.HostWhyForm(host.id, host.name, reasons)
