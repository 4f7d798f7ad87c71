"""The calls by which an administrator keeps hosts, networks and users."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from tashi.clustermanager import catalogue, hosts, nodes
from tashi.clustermanager.dispatch import CloseSession
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.catalogue import User
from tashi.domain.host import Host
from tashi.domain.identity import HostId, NetworkId, UserId
from tashi.domain.permissions import Caller
from tashi.domain.states import HostState
from tashi.wire.answers import ReservationForm
from tashi.wire.forms import HostForm, NetworkForm, UserForm


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = AdminsCalls(office)
    return {
        "addHost": calls.add_host,
        "delHost": calls.remove_host,
        "declareHostDead": calls.declare_host_dead,
        "setHostState": calls.set_host_state,
        "setHostNotes": calls.set_host_notes,
        "addReservation": calls.add_reservation,
        "delReservation": calls.remove_reservation,
        "getReservation": calls.reservation,
        "addNetwork": calls.add_network,
        "delNetwork": calls.remove_network,
        "addUser": calls.add_user,
        "delUser": calls.remove_user,
    }


class AdminsCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def add_host(self, caller: Caller, request: str, name: str) -> Future[Any]:
        """Add a host."""
        return self._host(request, lambda draft: hosts.add(draft, name, caller.name))

    def remove_host(self, caller: Caller, request: str, host_id: int) -> Future[Any]:
        """Remove a host on which nothing is left."""

        def act(draft: Draft) -> Host:
            draft.instruct(CloseSession(HostId(host_id)))
            return hosts.remove(draft, HostId(host_id), caller.name)

        return self._host(request, act)

    def declare_host_dead(self, caller: Caller, request: str, host_id: int) -> Future[Any]:
        """Free what a silent host held, once the image store was asked what it still saved."""
        key, office = HostId(host_id), self._office
        names = nodes.may_have_saved(office.ledger.books, key)

        def saved() -> set[str]:
            return {name for name in names if office.images.has_saved(name)}

        def bury(memories: set[str]) -> Future[Any]:
            return self._host(request, lambda draft: nodes.bury(draft, key, memories, caller.name))

        return office.looks.then(caller.user_id, saved, bury)

    def set_host_state(
        self, caller: Caller, request: str, host_id: int, state: HostState
    ) -> Future[Any]:
        """Open or close a host."""
        key, ours = HostId(host_id), self._office.version
        return self._host(
            request, lambda draft: hosts.set_state(draft, key, state, ours, caller.name)
        )

    def set_host_notes(self, caller: Caller, request: str, host_id: int, notes: str) -> Future[Any]:
        """Write a note about a host."""
        key = HostId(host_id)
        return self._host(request, lambda draft: hosts.set_notes(draft, key, notes, caller.name))

    def add_reservation(
        self, caller: Caller, request: str, host_id: int, user_id: int
    ) -> Future[Any]:
        """Keep a host for a user."""
        host, user = HostId(host_id), UserId(user_id)

        def reserve(known: Mapping[UserId, User]) -> Future[Any]:
            return self._reserved(
                request, lambda draft: hosts.reserve(draft, host, user, known, caller.name)
            )

        return self._office.with_people(user, reserve)

    def remove_reservation(
        self, caller: Caller, request: str, host_id: int, user_id: int
    ) -> Future[Any]:
        """No longer keep a host for a user."""
        host, user = HostId(host_id), UserId(user_id)
        return self._reserved(
            request, lambda draft: hosts.unreserve(draft, host, user, caller.name)
        )

    def reservation(self, _caller: Caller, _request: str, host_id: int) -> ReservationForm:
        """The users a host is kept for."""
        host = self._office.ledger.books.host(HostId(host_id))
        return ReservationForm(host.id, host.reserved)

    def add_network(self, caller: Caller, request: str, network_id: int, name: str) -> Future[Any]:
        """Add a network."""
        key = NetworkId(network_id)
        return self._office.change(
            request,
            lambda draft: catalogue.add_network(draft, key, name, caller.name),
            NetworkForm,
        )

    def remove_network(self, caller: Caller, request: str, network_id: int) -> Future[Any]:
        """Remove a network that no instance has."""
        key = NetworkId(network_id)
        return self._office.change(
            request, lambda draft: catalogue.remove_network(draft, key, caller.name), NetworkForm
        )

    def add_user(self, caller: Caller, request: str, user_id: int, name: str) -> Future[Any]:
        """Add a user to Tashi's own list."""
        key, office = UserId(user_id), self._office
        roster = office.people.now()

        def act(draft: Draft) -> User:
            user = catalogue.add_user(draft, key, name, roster, caller.name)
            if roster.users.get(key) != user:
                # Whoever was removed may have left a password, if we died or the file was away.
                draft.once_durable(lambda: office.logins.forget(user))
            return user

        return office.change(request, act, UserForm)

    def remove_user(self, caller: Caller, request: str, user_id: int) -> Future[Any]:
        """Remove a user who owns no instance, unless the directory has that number as well."""
        key, logins = UserId(user_id), self._office.logins
        roster = self._office.people.now()

        def act(draft: Draft) -> User:
            user = catalogue.remove_user(draft, key, roster, caller.name)
            draft.once_durable(lambda: logins.forget(user))
            return user

        return self._office.change(request, act, UserForm)

    def _host(self, request: str, act: Callable[[Draft], Host]) -> Future[Any]:
        return self._office.change(request, act, HostForm)

    def _reserved(self, request: str, act: Callable[[Draft], Host]) -> Future[Any]:
        def reserve(draft: Draft) -> ReservationForm:
            host = act(draft)
            return ReservationForm(host.id, host.reserved)

        return self._office.change(request, reserve, ReservationForm)
