"""How a cluster manager for tests of its clients learns who is there."""

from dataclasses import dataclass, field, replace
from typing import Final

from tashi.domain.errors import NotLoggedIn
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven
from tashi.wire import envelope
from tashi.wire.answers import TicketForm
from tashi.wire.forms import UserForm
from tashi.wire.serving import said

IDS: Final = {"root": 0, "ada": 1000}


@dataclass
class FakeEntrance:
    """Believes everybody, unless there are `passwords`; `tickets` says whose the good ones are."""

    passwords: dict[str, str] | None = None
    tickets: dict[str, int] = field(default_factory=dict)

    def identify(self, request: envelope.Request, peer: object) -> Caller:
        who = said(request, peer)
        if self.passwords is None:
            return who
        user = self.tickets.get(request.ticket)
        if user is None:
            return replace(who, user_id=None, proven=Proven.NOTHING)
        return replace(who, user_id=UserId(user), proven=Proven.PASSWORD)

    def _logIn(self, name: str, password: str) -> TicketForm:  # noqa: N802
        assert self.passwords is not None
        if self.passwords.get(name) != password:
            raise NotLoggedIn("The name or the password is not right.")
        ticket = f"ticket {len(self.tickets)}"
        self.tickets[ticket] = IDS[name]
        return TicketForm(ticket, 60.0, IDS[name], name)

    def _logOut(self, ticket: str) -> bool:  # noqa: N802
        return self.tickets.pop(ticket, None) is not None

    def _setPassword(self, user_id: int | None, **_: str) -> UserForm:  # noqa: N802
        return next(UserForm(key, name) for name, key in IDS.items() if key == (user_id or 1000))
