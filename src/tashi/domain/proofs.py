"""From what a connection vouches for to who calls.

A connection vouches for nothing, for a certificate that our own authority gave out, or, on a
socket of this machine, for the word of the kernel. Who gave the right password has logged in, and
is known by a ticket: that stands for a proof where the connection gives none.

A proof stands above a word. Whoever has one is what it says, whatever they say themselves; where
proof is not asked for, whoever has none is what they say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.errors import NotLoggedIn
from tashi.domain.identity import UserId
from tashi.domain.permissions import ROOT, Caller, Proven, Role


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate of our authority says: what its holder is, and the holder's name.

    `until` is when it ends, in seconds since 1970.
    """

    role: str
    name: str
    until: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KernelsWord:
    """What the kernel says of the process at the other end of a Unix socket.

    `account` is the name that its machine's own list of users has for that number, if it has one.
    """

    uid: int
    account: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Somebody gave the right password a while ago: a user as that user was then."""

    user: User


Proof = Certificate | KernelsWord | LoggedIn

PERSON: Final = "user"
"""The role in a person's certificate; what they may is in the books, so that it can be changed."""

WARN_DAYS: Final = 30
"""So long before a certificate ends, people are told of it."""

_NODE: Final = "nodemanager"
_DAEMONS: Final = {
    "clustermanager": Role.CLUSTER_MANAGER,
    "scheduler": Role.SCHEDULER,
    "agent": Role.AGENT,
    _NODE: Role.NODE,
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of people: by name, by id, and which role somebody has."""

    named: Callable[[str], User | None]
    user: Callable[[UserId], User | None]
    role_of: Callable[[UserId], Role]


NOBODY_KNOWN: Final = Known(lambda _: None, lambda _: None, lambda _: Role.USER)
"""For a service that people have no business with."""


def caller_by(proof: Proof | None, said: Caller, known: Known, *, demanded: bool) -> Caller:
    """Who calls, given what is proven and what is said.

    Where proof is `demanded`, what is merely said counts as nothing. Raises NotLoggedIn for
    a certificate of somebody whom we do not know, and for a number that two people share.
    """
    match proof:
        case Certificate(role, name):
            return replace(_certified(role, name, known), until=proof.until)
        case KernelsWord(uid, account):
            return _of_this_machine(UserId(uid), account, known)
        case LoggedIn(user):
            return _logged_in(user, known)
    if demanded:
        return replace(said, role=Role.USER, user_id=None, proven=Proven.NOTHING)
    if said.user_id is None or said.role is not Role.USER:
        return said
    has = known.role_of(said.user_id)
    return said if has is said.role else replace(said, role=has)


def person(key: UserId, proven: Proven, known: Known) -> Caller:
    """Somebody whose id is proven, in the role that they have."""
    user = known.user(key)
    name = f"user {key}" if user is None else str(user)
    role = Role.ADMIN if key == ROOT else known.role_of(key)
    return Caller(role, key, name, proven)


def _of_this_machine(key: UserId, account: str, known: Known) -> Caller:
    """Somebody with an account of this machine; the site may use its number for somebody else."""
    user = known.user(key)
    if account and user is not None and user.name != account and key != ROOT:
        raise NotLoggedIn(
            f"Number {key} is {account} on the cluster manager's machine, but {user.name} to "
            "Tashi: log in with a name and a password, or bring a certificate."
        )
    return person(key, Proven.KERNEL, known)


def _logged_in(user: User, known: Known) -> Caller:
    """Somebody who had a name and a number, and must have both still."""
    if known.user(user.id) != user:
        raise NotLoggedIn(f"Tashi no longer knows {user}: log in again.")
    return person(user.id, Proven.PASSWORD, known)


def _certified(role: str, name: str, known: Known) -> Caller:
    if role in _DAEMONS:
        host = name if role == _NODE else None
        return Caller(_DAEMONS[role], name=f"{role} {name}", proven=Proven.CERTIFICATE, host=host)
    user = known.named(name) if role == PERSON else None
    if user is None:
        raise NotLoggedIn(f"Your certificate names the {role} {name}, and Tashi knows no such one.")
    return person(user.id, Proven.CERTIFICATE, known)
