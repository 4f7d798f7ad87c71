"""Who may call what: one pure question, asked on the server for every call.

A caller is what the connection vouches for. Without authentication that is only what the client
says of itself, which is why such a cluster stays on loopback or on networks its admin trusts; who
proves more (`proofs`) is taken for that, whatever else is said.

People have a role, each of which may what those before it may: *user*, *operator*, *admin*.
Operators run the hosts, but the instances on them remain their owners': they may be moved, not
ended. Daemons have the one role that their work needs.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from tashi.domain import typed
from tashi.domain.errors import NotLoggedIn, NotPermitted
from tashi.domain.identity import UserId

ROOT = UserId(0)


class Who(Enum):
    """For whom a method is there."""

    STRANGER = auto()
    """Anybody, also who has not shown yet who they are."""
    ANYONE = auto()
    """Everybody and every daemon that is known."""
    PERSON = auto()
    """People, for what will be their own."""
    OWNER = auto()
    """Whoever owns the instance, and administrators."""
    KEEPER = auto()
    """Whoever owns the instance, and operators."""
    OPERATOR = auto()
    ADMIN = auto()
    SCHEDULER = auto()
    NODE = auto()
    CLUSTER_MANAGER = auto()
    DAEMON = auto()
    """Any daemon, and nobody else."""


class Role(Enum):
    """What a caller is, by its name on the wire."""

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"
    SCHEDULER = "scheduler"
    AGENT = "agent"
    NODE = "node"
    CLUSTER_MANAGER = "clustermanager"


class Proven(Enum):
    """How it is known who calls."""

    NOTHING = "nothing"
    """Proof is asked for, and there is none."""
    SAID = "its own word"
    KERNEL = "the kernel"
    CERTIFICATE = "a certificate"
    PASSWORD = "a password"  # noqa: S105  # the word, not one


PEOPLE: Final = (Role.USER, Role.OPERATOR, Role.ADMIN)
"""The roles of people; each may what those before it may."""

_FOR_PEOPLE: Final = frozenset({Who.PERSON, Who.OWNER, Who.KEEPER})
_DAEMONS = {
    Who.SCHEDULER: Role.SCHEDULER,
    Who.NODE: Role.NODE,
    Who.CLUSTER_MANAGER: Role.CLUSTER_MANAGER,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `name` is for log lines.

    `host` is the one host that a node speaks for, ``None`` for one that nothing binds to a host.
    `address` is where the call came from; `private` says that nobody on the way can read it.
    `until` is when the certificate ends that was shown, in seconds since 1970.
    """

    role: Role
    user_id: UserId | None = None
    name: str = ""
    proven: Proven = Proven.SAID
    host: str | None = None
    address: str = ""
    private: bool = False
    until: float | None = field(default=None, compare=False)

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do anything to any instance."""
        return self.role is Role.ADMIN or self.user_id == ROOT

    @property
    def is_operator(self) -> bool:
        """Whether the caller runs the hosts."""
        return self.role is Role.OPERATOR or self.is_admin

    @property
    def is_person(self) -> bool:
        """Whether the caller is somebody and no daemon."""
        return self.role in PEOPLE


def check_permission(who: Who, caller: Caller, call: str) -> None:
    """Raise NotPermitted when a method for `who` is called by somebody else.

    Raises NotLoggedIn when proof is asked for and this caller gave none. For OWNER `check_owner`
    follows once the instance is known, for KEEPER `check_keeper`.
    """
    if who is Who.STRANGER:
        return
    call, daemon = typed.function(call), _DAEMONS.get(who)
    if caller.proven is Proven.NOTHING:
        raise NotLoggedIn(
            f"{call} is for those who show who they are: log in with a name and a password "
            "(logIn), bring a certificate, or call on the cluster manager's own machine."
        )
    if who is Who.ADMIN and not caller.is_admin:
        raise NotPermitted(f"{call} is for administrators; you are {caller.name}.")
    if who is Who.OPERATOR and not caller.is_operator:
        raise NotPermitted(f"{call} is for operators; you are {caller.name}.")
    if who in _FOR_PEOPLE and not caller.is_person:
        raise NotPermitted(f"{call} is for people; you are {caller.name}.")
    if who is Who.DAEMON and caller.is_person:
        raise NotPermitted(f"{call} is for daemons; you are {caller.name}.")
    if daemon is not None and caller.role is not daemon:
        raise NotPermitted(f"{call} is for the {daemon.name.lower().replace('_', ' ')} only.")


def check_may_set_password(whose: UserId, caller: Caller) -> None:
    """Raise NotPermitted unless the caller may say what the password of `whose` is.

    A mere word proves nothing, and a password is not sent where somebody may listen.
    """
    if caller.proven in {Proven.NOTHING, Proven.SAID} or not caller.private:
        raise NotPermitted(
            "Passwords are set over an encrypted connection or the socket of the cluster manager's "
            "machine: set authAndEncrypt or localSocket in [Security]."
        )
    if not caller.is_admin and caller.user_id != whose:
        raise NotPermitted(
            f"The password of user {whose} is set by themselves and by administrators; you are "
            f"{caller.name}."
        )


def check_owner(owner: UserId, caller: Caller, what: str) -> None:
    """Raise NotPermitted unless the caller owns `what` or is an administrator."""
    if not caller.is_admin and caller.user_id != owner:
        raise NotPermitted(f"{what} belongs to user {owner}; you are {caller.name}.")


def check_keeper(owner: UserId, caller: Caller, what: str) -> None:
    """Raise NotPermitted unless the caller owns `what` or runs the hosts."""
    if not caller.is_operator:
        check_owner(owner, caller, what)


def check_speaks_for(host: str, caller: Caller) -> None:
    """Raise NotPermitted when a node that is bound to one host speaks for another."""
    if caller.host is not None and caller.host != host:
        raise NotPermitted(f"{caller.name} speaks for {caller.host} only, not for {host}.")


def may(who: Who, caller: Caller, owner: UserId) -> bool:
    """Whether a method for `who` is there for a caller, about something of that owner's."""
    try:
        check_permission(who, caller, "")
        if who is Who.OWNER:
            check_owner(owner, caller, "")
        elif who is Who.KEEPER:
            check_keeper(owner, caller, "")
    except (NotPermitted, NotLoggedIn):
        return False
    return True
