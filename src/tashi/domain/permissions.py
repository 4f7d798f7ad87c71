"""Who may call what: one pure question, asked on the server for every call.

A caller is what the connection vouches for. Without authentication that is only what the client
says of itself, which is why such a cluster stays on loopback or on networks its admin trusts.
"""

from dataclasses import dataclass
from enum import Enum, auto

from tashi.domain.errors import NotPermitted
from tashi.domain.identity import UserId

ROOT = UserId(0)


class Who(Enum):
    """For whom a method is there."""

    ANYONE = auto()
    OWNER = auto()
    """Whoever owns the instance, and administrators."""
    ADMIN = auto()
    SCHEDULER = auto()
    NODE = auto()
    CLUSTER_MANAGER = auto()


class Role(Enum):
    """What a caller is, by its name on the wire."""

    USER = "user"
    ADMIN = "admin"
    SCHEDULER = "scheduler"
    NODE = "node"
    CLUSTER_MANAGER = "clustermanager"


_DAEMONS = {
    Who.SCHEDULER: Role.SCHEDULER,
    Who.NODE: Role.NODE,
    Who.CLUSTER_MANAGER: Role.CLUSTER_MANAGER,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `name` is for log lines."""

    role: Role
    user_id: UserId | None = None
    name: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do anything to any instance."""
        return self.role is Role.ADMIN or self.user_id == ROOT


def check_permission(who: Who, caller: Caller, call: str) -> None:
    """Raise NotPermitted when a method for `who` is called by somebody else.

    For OWNER, `check_owner` follows once the instance is known.
    """
    daemon = _DAEMONS.get(who)
    if who is Who.ADMIN and not caller.is_admin:
        raise NotPermitted(f"{call} is for administrators; you are {caller.name}.")
    if daemon is not None and caller.role is not daemon:
        raise NotPermitted(f"{call} is for the {daemon.name.lower().replace('_', ' ')} only.")


def check_owner(owner: UserId, caller: Caller, what: str) -> None:
    """Raise NotPermitted unless the caller owns `what` or is an administrator."""
    if not caller.is_admin and caller.user_id != owner:
        raise NotPermitted(f"{what} belongs to user {owner}; you are {caller.name}.")
