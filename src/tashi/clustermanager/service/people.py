"""The calls by which people show who they are, and set their passwords."""

from concurrent.futures import Future

from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.errors import NoSuchUser
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller
from tashi.wire.answers import TicketForm
from tashi.wire.forms import UserForm


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = PeoplesCalls(office)
    return {
        "logIn": calls.log_in,
        "logOut": calls.log_out,
        "setPassword": calls.set_password,
    }


class PeoplesCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def log_in(self, caller: Caller, _request: str, name: str, password: str) -> Future[TicketForm]:
        """Give a ticket for a name and a password."""
        return self._office.logins.log_in(caller, name, password)

    def log_out(self, _caller: Caller, _request: str, ticket: str) -> Future[bool]:
        """Take a ticket back."""
        return self._office.logins.log_out(ticket)

    def set_password(
        self, caller: Caller, _request: str, password: str, user_id: int | None, current: str
    ) -> Future[UserForm]:
        """Set a user's password; without one named, the caller's own."""
        key = caller.user_id if user_id is None else UserId(user_id)
        user = None if key is None else self._office.persons.user(key)
        if user is None:
            raise NoSuchUser(f"There is no user {key}: getUsers lists those there are.")
        return self._office.logins.set_password(caller, user, password, current)
