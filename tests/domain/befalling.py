"""A record for every state, and an event of every kind, to try the table with."""

from dataclasses import fields, replace
from typing import Final

from examples import waiting
from tashi.domain import alterations, notices
from tashi.domain import events as e
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, HostId, NetworkId, Operation, VmId
from tashi.domain.instance import Instance, Listing, Spent
from tashi.domain.states import InstanceState, facts
from tashi.domain.transitions import ON_HOST

HERE: Final = HostId(1)
THERE: Final = HostId(2)
ELSEWHERE: Final = HostId(3)

_FIELDS: Final[dict[str, object]] = {
    "operation": Operation(8),
    "host_id": HERE,
    "target_id": THERE,
    "attempt": Attempt(1),
    "words": "so it is",
    "vm_id": VmId(4711),
    "saved": "1-7",
    "stored": "1-7",
    "how": Ending.CRASHED,
    "mac": "52:54:00:00:00:01",
    "ip": "192.0.2.7",
    "spent": Spent("1-a1"),
    "listings": (Listing("52:54:00:00:00:01", NetworkId(1), "192.0.2.7", "i1"),),
}


def a_record(state: InstanceState, hosts: int = 0, **changes: object) -> Instance:
    """Instance 1 in that state, on so many hosts: HERE, then THERE."""
    plain = replace(
        waiting(1),
        state=state,
        host_id=HERE if hosts else None,
        target_id=THERE if hosts == len((HERE, THERE)) else None,
        attempt=Attempt(1),
        operation=Operation(7),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # names and values go together


def records_in(state: InstanceState) -> list[Instance]:
    """Records in that state: on every number of hosts that it allows; orphans of every kind."""
    if state is not InstanceState.ORPHANED:
        return [a_record(state, hosts) for hosts in sorted(facts(state).hosts)]
    return [
        a_record(state, hosts, was=was)
        for was in sorted(ON_HOST)
        for hosts in sorted(facts(was).hosts)
    ]


def an_event(kind: type[e.Event], **changes: object) -> e.Event:
    """An event of that kind about instance 1 on HERE."""
    known = {field.name: _FIELDS[field.name] for field in fields(kind) if field.name in _FIELDS}
    return kind(**{**known, **changes})


def kinds(family: type[e.Event]) -> list[type[e.Event]]:
    """Every kind of event of that family that stands for something that can happen."""
    known = {**vars(e), **vars(alterations), **vars(notices)}.values()
    named = [kind for kind in known if isinstance(kind, type)]
    found = [kind for kind in named if issubclass(kind, family)]
    return [kind for kind in found if not any(kind in other.__mro__[1:] for other in found)]
