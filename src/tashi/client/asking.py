"""What the questions of tashi-client do: ask, and show the answer.

None of them changes anything, so each may be asked as often as one likes. Those that go on (watch,
getConsole --follow) wait at the cluster manager for what comes next and never poll.
"""

from typing import Final

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Given
from tashi.client.command import Session
from tashi.client.tables import Row
from tashi.domain.proofs import WARN_DAYS
from tashi.wire.answers import SlotsForm, WhyForm
from tashi.wire.forms import ConsoleForm, EntryForm, EventsForm

_ONE_LOOK_SECONDS: Final = 30.0
_LAST_BYTES: Final = 4096


def slots(session: Session, given: Given) -> None:
    """Say how many instances of a size would fit now."""
    found = session.cluster.calls.call(
        "getSlots", SlotsForm, cores=given[a.CORES], memory=given[a.MEMORY]
    )
    cores = "core" if found.cores == 1 else "cores"
    session.terminal.say(
        f"{found.count} available slots for instances with {found.cores} {cores} and "
        f"{found.memory} MB memory",
        sheets.row_of(found),
    )


def instances(session: Session, _given: Given) -> None:
    """List all instances."""
    cluster = session.cluster
    found = cluster.instances(stats=_want_stats(session))
    session.terminal.show(sheets.INSTANCES, sheets.instance_rows(found, cluster.users()))


def my_instances(session: Session, _given: Given) -> None:
    """List the instances of the user who asks."""
    cluster = session.cluster
    mine = cluster.my_instances(stats=_want_stats(session))
    owners = cluster.owners(one.user_id for one in mine)
    session.terminal.show(sheets.INSTANCES, sheets.instance_rows(mine, owners))


def _want_stats(session: Session) -> bool:
    terminal = session.terminal
    return terminal.json or any(one.group for one in sheets.INSTANCES.seen(terminal.wishes))


def layout(session: Session, _given: Given) -> None:
    """List what is on each host."""
    cluster = session.cluster
    session.terminal.show(sheets.LAYOUT, sheets.layout_rows(cluster.hosts(), cluster.instances()))


def hosts(session: Session, _given: Given) -> None:
    """List all hosts."""
    found = session.cluster.hosts()
    owners = session.cluster.owners(user for one in found for user in one.reserved)
    session.terminal.show(sheets.HOSTS, sheets.host_rows(found, owners))
    for one in found:
        if one.certificate_days is not None and one.certificate_days <= WARN_DAYS:
            session.terminal.warn(_end_of_certificate(one.name, one.certificate_days))


def _end_of_certificate(host: str, days: float) -> str:
    ends = f"expires in {days:.0f} days" if days > 0 else "has expired"
    return f"The certificate of {host} {ends}: the log of its node manager says why it is not new."


def users(session: Session, _given: Given) -> None:
    """List all users."""
    session.terminal.show(sheets.USERS, [sheets.row_of(one) for one in session.cluster.users()])


def networks(session: Session, _given: Given) -> None:
    """List all networks."""
    rows = [sheets.row_of(one) for one in session.cluster.networks()]
    session.terminal.show(sheets.NETWORKS, rows)


def why(session: Session, given: Given) -> None:
    """Say why an instance is where it is; if it waits or may move, what keeps it off each host."""
    instance_id = session.cluster.instance_id(given[a.INSTANCE])
    answer = session.cluster.calls.call("why", WhyForm, instance_id=instance_id)
    session.terminal.say(answer.words, sheets.row_of(answer))
    if answer.hosts and not session.terminal.json:
        session.terminal.show(sheets.REASONS, sheets.reason_rows(answer))


def watch(session: Session, given: Given) -> None:
    """Show events as they come, one a line; only an interruption or an error ends it."""
    cluster, since = session.cluster, given[a.SINCE]
    only = given[a.ONE_INSTANCE]
    instance_id = None if only is None else cluster.instance_id(only)
    if since is None:
        since = cluster.next_event()
    while True:
        found = cluster.calls.call(
            "watch",
            EventsForm,
            since=since,
            timeout=_ONE_LOOK_SECONDS,
            instance_id=instance_id,
        )
        for entry in found.events:
            session.terminal.go_on(
                _event_line(entry, session.local_time(entry.at)), _event_row(entry)
            )
        since = found.next


def console(session: Session, given: Given) -> None:
    """Show the end of a guest's console, and what it goes on with if that was asked for."""
    calls, terminal = session.cluster.calls, session.terminal
    instance_id = session.cluster.instance_id(given[a.INSTANCE])
    offset, timeout = -_LAST_BYTES, 0.0
    while True:
        piece = calls.call(
            "getConsole", ConsoleForm, instance_id=instance_id, offset=offset, timeout=timeout
        )
        if not terminal.json:
            terminal.pour(piece.text)
        elif piece.text or not given[a.FOLLOW]:
            terminal.go_on("", sheets.row_of(piece))
        if not given[a.FOLLOW]:
            return
        offset, timeout = piece.offset, _ONE_LOOK_SECONDS


def _event_row(entry: EntryForm) -> Row:
    return {name: value for name, value in sheets.row_of(entry).items() if value is not None}


def _event_line(entry: EntryForm, clock: str) -> str:
    record = entry.instance or entry.host or entry.network or entry.user
    name = f" ({record.name})" if record is not None else ""
    record_state = (entry.instance or entry.host) if record is not None else None
    after = record_state.state.title if record_state is not None else ""
    becomes = after if record is not None else "removed"
    by = f"by {entry.by}" if entry.by else ""
    parts = (
        f"{entry.number:>7}  {clock}",
        f"{entry.kind.value} {entry.key}{name}".ljust(28),
        becomes.ljust(13),
        entry.line.ljust(20),
        by,
    )
    return "  ".join(parts).rstrip()
