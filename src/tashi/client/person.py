"""Who uses a client, for a cluster manager that asks for a password.

Logging in happens by itself when that is asked for: the password comes from a file that the
settings name, or somebody is asked, and never stands on a command line; it is neither asked for
nor sent where somebody on the way could read it. The ticket that a log-in gives is kept, so that
the next command need not ask again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tashi.client.terminal import Terminal
from tashi.domain.errors import NotLoggedIn, Refused
from tashi.wire.answers import TicketForm
from tashi.wire.calls import Calls


@dataclass(frozen=True, slots=True)
class Login:
    """Under which name to log in (empty: nobody knows), and the password where a file has it."""

    name: str
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is kept of a log-in: the ticket, and whose it is."""

    ticket: str
    user_id: int


class Pocket(Protocol):
    """Where tickets are kept between commands."""

    def find(self) -> Ticket | None:
        """The ticket for this cluster; None for none."""
        ...

    def keep(self, ticket: Ticket | None) -> None:
        """Keep a ticket in place of the one before, or none; does without where it cannot."""
        ...


@dataclass(slots=True)
class Person:
    """Whoever uses the client, as they log in; keeps the protocol `Access`."""

    login: Callable[[], Login]
    pocket: Callable[[], Pocket]
    private: Callable[[], bool]
    """Whether nobody on the way to the cluster manager can read what is said."""
    terminal: Terminal
    uid: int
    name: str = ""
    """The name to log in under, empty for the one that the settings say."""
    _held: Ticket | None = None
    _looked: bool = False

    def ticket(self) -> str:
        """The ticket to send along; empty for none."""
        held = self._ticket()
        return "" if held is None else held.ticket

    def user_id(self) -> int:
        """Who the cluster manager takes us for: whose ticket it is, or who runs the client."""
        held = self._ticket()
        return self.uid if held is None else held.user_id

    def log_in(self, calls: Calls, refusal: NotLoggedIn) -> None:
        """Log in, where there is a password or somebody to be asked; else raise the refusal."""
        self.check_private()
        self._keep(None)
        own = self.login()
        name = self.name or own.name
        if not name:
            raise Refused(
                "This machine has no name for who runs this: give one with logIn --user, or as "
                "username in [AccessClusterManager]."
            )
        password = own.password if name == own.name else None
        if password is None:
            if self.terminal.hidden is None:
                raise refusal
            password = self.terminal.hidden(f"Password of {name}: ")
        given = replace(calls, access=None).call("logIn", TicketForm, name=name, password=password)
        self._keep(Ticket(given.ticket, given.user_id))

    def check_private(self) -> None:
        """Raise Refused where a password must not be said."""
        if not self.private():
            raise Refused(
                "The connection to the cluster manager is not encrypted, so no password is sent "
                "over it: set authAndEncrypt = True in [Security], for this client and for the "
                "cluster manager."
            )

    def log_out(self, calls: Calls) -> bool:
        """Let the ticket be worth nothing, here and there; whether there was one."""
        held = self._ticket()
        if held is None:
            return False
        self._keep(None)
        return replace(calls, access=None).call("logOut", bool, ticket=held.ticket)

    def _ticket(self) -> Ticket | None:
        if not self._looked:
            self._held, self._looked = self.pocket().find(), True
        return self._held

    def _keep(self, ticket: Ticket | None) -> None:
        self._held, self._looked = ticket, True
        self.pocket().keep(ticket)
