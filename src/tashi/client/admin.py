"""The functions of tashi-admin, one row each: hosts, networks, users, and the configuration.

The cluster manager decides who is an administrator; here nobody is asked. `checkConfig` needs no
cluster manager: the program hands in what reads the files.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final

from tashi.client import arguments as a
from tashi.client import draining, logging_in, sheets
from tashi.client.arguments import Given
from tashi.client.command import Command, Session
from tashi.domain.errors import Misconfigured
from tashi.wire.answers import ReservationForm
from tashi.wire.forms import HostForm, InstanceForm, NetworkForm, UserForm

Findings = tuple[Sequence[str], Sequence[str]]
"""The mistakes and the warnings, one sentence each."""


def _set_host_state(session: Session, given: Given) -> None:
    host_id = session.cluster.host_id(given[a.HOST])
    host = session.cluster.calls.call(
        "setHostState", HostForm, host_id=host_id, state=given[a.HOST_STATE]
    )
    session.terminal.say(f"Host {host.name} is {host.state.title}.", sheets.row_of(host))


def _set_host_notes(session: Session, given: Given) -> None:
    host_id = session.cluster.host_id(given[a.HOST])
    host = session.cluster.calls.call(
        "setHostNotes", HostForm, host_id=host_id, notes=given[a.NOTES]
    )
    session.terminal.say(f"The note of host {host.name} is written.", sheets.row_of(host))


def _add_host(session: Session, given: Given) -> None:
    host = session.cluster.calls.call("addHost", HostForm, name=given[a.NEW_HOST])
    session.terminal.say(f"Host {host.name} is added as {host.id}.", sheets.row_of(host))


def _del_host(session: Session, given: Given) -> None:
    host_id = session.cluster.host_id(given[a.HOST])
    host = session.cluster.calls.call("delHost", HostForm, host_id=host_id)
    session.terminal.say(f"Host {host.name} is removed.", sheets.row_of(host))


def _declare_host_dead(session: Session, given: Given) -> None:
    host_id = session.cluster.host_id(given[a.HOST])
    if not given[a.YES]:
        there = [one.name for one in session.cluster.instances() if host_id in _hosts_of(one)]
        warning = (
            f"What ran on {given[a.HOST]} ({', '.join(there) or 'nothing'}) will be taken as lost, "
            "with the disks that were there, and is started elsewhere where that was asked for. If "
            "the host still runs, guests run twice: switch it off first."
        )
        session.terminal.confirm(warning, f"Is {given[a.HOST]} switched off?")
    host = session.cluster.calls.call("declareHostDead", HostForm, host_id=host_id)
    session.terminal.say(f"Host {host.name} counts as dead.", sheets.row_of(host))


def _hosts_of(instance: InstanceForm) -> set[int | None]:
    return {instance.host_id, instance.target_id, instance.disks_on}


def _reserve(call: str) -> Callable[[Session, Given], None]:
    def run(session: Session, given: Given) -> None:
        cluster = session.cluster
        host_id, user_id = cluster.host_id(given[a.HOST]), cluster.user_id(given[a.USER])
        kept = cluster.calls.call(call, ReservationForm, host_id=host_id, user_id=user_id)
        _show_reservation(session, given[a.HOST], kept)

    return run


def _get_reservation(session: Session, given: Given) -> None:
    host_id = session.cluster.host_id(given[a.HOST])
    kept = session.cluster.calls.call("getReservation", ReservationForm, host_id=host_id)
    _show_reservation(session, given[a.HOST], kept)


def _show_reservation(session: Session, host: str, kept: ReservationForm) -> None:
    names = {user.id: user.name for user in session.cluster.owners(kept.users)}
    users = ", ".join(names.get(user, str(user)) for user in kept.users)
    words = f"Host {host} is kept for {users}." if users else f"Host {host} is open to everyone."
    session.terminal.say(words, sheets.row_of(kept))


def _add_network(session: Session, given: Given) -> None:
    network = session.cluster.calls.call(
        "addNetwork", NetworkForm, network_id=given[a.ID], name=given[a.NAME]
    )
    session.terminal.say(f"Network {network.id} ({network.name}) is added.", sheets.row_of(network))


def _del_network(session: Session, given: Given) -> None:
    network_id = session.cluster.network_id(given[a.NETWORK])
    network = session.cluster.calls.call("delNetwork", NetworkForm, network_id=network_id)
    words = f"Network {network.id} ({network.name}) is removed."
    session.terminal.say(words, sheets.row_of(network))


def _add_user(session: Session, given: Given) -> None:
    user = session.cluster.calls.call("addUser", UserForm, user_id=given[a.ID], name=given[a.NAME])
    session.terminal.say(f"User {user.id} ({user.name}) is added.", sheets.row_of(user))


def _del_user(session: Session, given: Given) -> None:
    user_id = session.cluster.user_id(given[a.USER])
    user = session.cluster.calls.call("delUser", UserForm, user_id=user_id)
    session.terminal.say(f"User {user.id} ({user.name}) is removed.", sheets.row_of(user))


def _check_config(check: Callable[[], Findings]) -> Callable[[Session, Given], None]:
    def run(session: Session, _given: Given) -> None:
        mistakes, warnings = check()
        found = {"mistakes": list(mistakes), "warnings": list(warnings)}
        if not mistakes:
            words = "\n".join(["The configuration is in order.", *warnings])
            session.terminal.say(words, found)
            return
        if session.terminal.json:
            session.terminal.say("", found)
        raise Misconfigured("\n".join(["The configuration needs mending.", *mistakes, *warnings]))

    return run


def commands(check: Callable[[], Findings], *rooms: Iterable[Command]) -> tuple[Command, ...]:
    """The functions of tashi-admin, among them those of the rooms that others bring.

    `check` finds the mistakes in the configuration files.
    """
    return (
        *_COMMANDS,
        *chain(*rooms),
        Command(
            name="checkConfig",
            run=_check_config(check),
            help="Name every mistake in the configuration files; needs no cluster manager.",
            examples=("",),
        ),
    )


_COMMANDS: Final = (
    Command(
        name="setHostState",
        run=_set_host_state,
        takes=(a.HOST, a.HOST_STATE),
        help="Open a host for new instances, or keep them off it.",
        examples=("--host rack1 --state drained", "--host 3 --state normal"),
    ),
    *draining.COMMANDS,
    Command(
        name="setHostNotes",
        run=_set_host_notes,
        takes=(a.HOST, a.NOTES),
        help="Write a note about a host.",
        examples=('--host rack1 --notes "new fans on Monday"',),
    ),
    Command(
        name="addHost",
        run=_add_host,
        takes=(a.NEW_HOST,),
        help="Add a host; its node manager can then register.",
        examples=("--host rack1",),
    ),
    Command(
        name="delHost",
        run=_del_host,
        takes=(a.HOST,),
        help="Remove a host on which nothing is left.",
        examples=("--host rack1",),
    ),
    Command(
        name="declareHostDead",
        run=_declare_host_dead,
        takes=(a.HOST, a.YES),
        help="Take it that a silent host is dead, and free what it held.",
        examples=("--host rack1", "--host rack1 --yes"),
    ),
    Command(
        name="addReservation",
        run=_reserve("addReservation"),
        takes=(a.HOST, a.USER),
        help="Keep a host for a user, beside those it is kept for already.",
        examples=("--host rack1 --user ada",),
    ),
    Command(
        name="delReservation",
        run=_reserve("delReservation"),
        takes=(a.HOST, a.USER),
        help="No longer keep a host for a user.",
        examples=("--host rack1 --user ada",),
    ),
    Command(
        name="getReservation",
        run=_get_reservation,
        takes=(a.HOST,),
        help="Say for whom a host is kept.",
        examples=("--host rack1",),
    ),
    Command(
        name="addNetwork",
        run=_add_network,
        takes=(a.ID, a.NAME),
        help="Add a network; its number is the VLAN's.",
        examples=("--id 999 --name public",),
    ),
    Command(
        name="delNetwork",
        run=_del_network,
        takes=(a.NETWORK,),
        help="Remove a network that no instance has.",
        examples=("--network public",),
    ),
    Command(
        name="addUser",
        run=_add_user,
        takes=(a.ID, a.NAME),
        help="Add a user to Tashi's own list.",
        examples=("--id 1000 --name ada",),
    ),
    Command(
        name="delUser",
        run=_del_user,
        takes=(a.USER,),
        help="Remove a user who owns no instance from Tashi's own list.",
        examples=("--user ada",),
    ),
    *logging_in.ADMINS,
)
