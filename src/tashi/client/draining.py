"""Emptying a host, for operators: the plan, the wish, and how far it is.

The rows are in both clients, because people look for them in either. Whoever waits follows the
events and asks for the plan again when one of them is about the host or what is on it; the wait
ends when the host is empty, and fails when nothing that is left can be moved. The emptying itself
is the cluster's: it goes on when the client is interrupted.
"""

from collections.abc import Callable, Sequence
from typing import Final

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Given, Misused
from tashi.client.command import Command, Session
from tashi.client.doing import only_a_wait
from tashi.client.tables import counted
from tashi.client.terminal import Note
from tashi.domain.errors import Failed, TimedOut, TooOld
from tashi.domain.journal import Kind
from tashi.domain.placement.fate import Fate
from tashi.domain.states import HostState
from tashi.wire.drains import DrainPlanForm, EvacueeForm
from tashi.wire.forms import EntryForm, EventsForm, HostForm

_ONE_LOOK_SECONDS: Final = 30.0
_NAMED: Final = 3


def drain(session: Session, given: Given) -> None:
    """Empty a host, or with --plan only say what that would mean."""
    if given[a.PLAN] and given[a.WAIT]:
        raise Misused("--plan changes nothing, so there is nothing to wait for: leave --wait out.")
    cluster = session.cluster
    host_id = cluster.host_id(given[a.HOST])
    if not given[a.PLAN]:
        cluster.calls.call("drainHost", HostForm, host_id=host_id)
    plan = cluster.calls.call("getDrainPlan", DrainPlanForm, host_id=host_id)
    if given[a.WAIT]:
        with only_a_wait(session, plan.host.name, " cancelDrain ends it."):
            plan = _until_empty(session, plan, given[a.TIMEOUT])
    _show(session, plan)


def _change(call: str, said: str) -> Callable[[Session, Given], None]:
    def run(session: Session, given: Given) -> None:
        host_id = session.cluster.host_id(given[a.HOST])
        host = session.cluster.calls.call(call, HostForm, host_id=host_id)
        words = f"Host {host.name} {said}: it is {host.state.title}."
        session.terminal.say(words, sheets.row_of(host))

    return run


# ---- the plan -----------------------------------------------------------------------------------


def _show(session: Session, plan: DrainPlanForm) -> None:
    terminal = session.terminal
    terminal.say(_summary(plan), sheets.row_of(plan))
    if terminal.json or not plan.instances:
        return
    terminal.show(sheets.EVACUEES, [sheets.row_of(one) for one in plan.instances])
    for one in plan.instances:
        if one.fate is not Fate.MOVES:
            terminal.say(f"{_said(one)}.", None)


def _summary(plan: DrainPlanForm) -> str:
    name, count = plan.host.name, len(plan.instances)
    if plan.host.state is HostState.DRAINED and not (plan.host.draining or count):
        return f"Host {name} is empty and Drained."
    if not count:
        return f"Nothing is left on host {name}, which is {plan.host.state.title}."
    doing = "is being emptied" if plan.host.draining else "is not being emptied yet"
    fates = [one.fate for one in plan.instances]
    found = [(fates.count(fate), words) for fate, words in _COUNTED]
    parts = ", ".join(f"{number} {words}" for number, words in found if number)
    return f"Host {name} {doing}. Of {counted(count, 'instance')}: {parts}."


_COUNTED: Final = (
    (Fate.MOVES, "can move"),
    (Fate.LEAVES, "on the way off"),
    (Fate.LATER, "to be moved later"),
    (Fate.STAYS, "must stay"),
)


def _said(one: EvacueeForm) -> str:
    to = f" to {one.target}" if one.fate is Fate.LEAVES and one.target else ""
    return f"{one.name} {one.words}{to}"


# ---- waiting ------------------------------------------------------------------------------------


def _until_empty(session: Session, plan: DrainPlanForm, limit: float | None) -> DrainPlanForm:
    """Follow until the host is empty; returns the plan as it is then.

    Raises Failed when nothing that is left can be moved or the emptying was cancelled, and
    TimedOut.
    """
    began, total = session.clock(), len(plan.instances)
    with session.terminal.progress(total) as note:
        while not _is_over(plan):
            _tell(plan, total, note)
            left = None if limit is None else began + limit - session.clock()
            if left is not None and left <= 0:
                raise TimedOut(
                    f"After {limit:g} s {_left(plan)} The wait is over, the emptying goes on.",
                    host=plan.host.id,
                )
            plan = _next(session, plan, _ONE_LOOK_SECONDS if left is None else left)
    return plan


def _is_over(plan: DrainPlanForm) -> bool:
    host = plan.host
    if not host.draining:
        if host.state is HostState.DRAINED and not plan.instances:
            return True
        raise Failed(f"Host {host.name} is no longer being emptied.", host=host.id)
    if all(one.fate is Fate.STAYS for one in plan.instances):
        raise Failed(
            f"Nothing more can be moved: {_left(plan)} The emptying goes on, and what can be moved "
            "later will be; undrain opens the host again.",
            host=host.id,
        )
    return False


def _left(plan: DrainPlanForm) -> str:
    count = len(plan.instances)
    verb = "is" if count == 1 else "are"
    named = "; ".join(map(_said, plan.instances[:_NAMED]))
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return f"{counted(count, 'instance')} {verb} left on {plan.host.name} ({named}{more})."


def _tell(plan: DrainPlanForm, total: int, note: Note) -> None:
    leaving = [one.name for one in plan.instances if one.fate is Fate.LEAVES]
    names = ", ".join(leaving[:_NAMED]) if leaving else plan.instances[0].name
    stay = sum(one.fate is Fate.STAYS for one in plan.instances)
    words = f"{names} {'leaving' if leaving else 'waiting'}" + (
        f", {stay} must stay" if stay else ""
    )
    note(words, max(total - len(plan.instances), 0))


def _next(session: Session, plan: DrainPlanForm, patience: float) -> DrainPlanForm:
    """The plan after the next event that may change it, or after that much patience."""
    calls, until = session.cluster.calls, session.clock() + patience
    since, concerned = plan.next, {one.instance_id for one in plan.instances}
    while (left := until - session.clock()) > 0:
        try:
            found = calls.call("watch", EventsForm, since=since, timeout=left)
        except TooOld:
            break
        since = found.next
        if _concerns(found.events, plan.host.id, concerned):
            break
    return calls.call("getDrainPlan", DrainPlanForm, host_id=plan.host.id)


def _concerns(events: Sequence[EntryForm], host_id: int, instances: set[int]) -> bool:
    return any(
        (one.kind is Kind.HOST and one.key == host_id)
        or (one.kind is Kind.INSTANCE and _is_about(one, host_id, instances))
        for one in events
    )


def _is_about(entry: EntryForm, host_id: int, instances: set[int]) -> bool:
    record = entry.instance
    return entry.key in instances or (record is not None and record.host_id == host_id)


# ---- the rows -----------------------------------------------------------------------------------

COMMANDS: Final = (
    Command(
        name="drain",
        run=drain,
        takes=(a.HOST, a.PLAN, a.WAIT, a.TIMEOUT),
        help="Empty a host: move what runs there, and keep new instances off it.",
        examples=("--host rack1 --plan", "--host rack1", "--host rack1 --wait --timeout 600"),
        sheet=sheets.EVACUEES,
    ),
    Command(
        name="cancelDrain",
        run=_change("cancelDrain", "is no longer being emptied"),
        takes=(a.HOST,),
        help="Stop emptying a host: what has not left yet stays there.",
        examples=("--host rack1",),
    ),
    Command(
        name="undrain",
        run=_change("undrainHost", "is no longer drained"),
        takes=(a.HOST,),
        help="Open a host again that is drained or being emptied.",
        examples=("--host rack1",),
    ),
)
"""What both clients can do with a host's emptying."""
