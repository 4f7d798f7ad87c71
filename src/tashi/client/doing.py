"""What the commands that change instances do: accept, say so, and wait where that was asked for.

Names become ids first, the wait begins, the command is sent, and only then is anything shown. Of
several instances each is commanded by itself: one that is refused does not keep the others from it,
but counts in the end.
"""

from collections.abc import Callable, Sequence

import msgspec

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Given
from tashi.client.command import Session
from tashi.client.tables import Row
from tashi.client.terminal import Note
from tashi.client.waiting import Fate, Goal, Vigil
from tashi.domain.errors import Failed, Refused, TashiError
from tashi.domain.states import InstanceState
from tashi.wire.forms import InstanceForm, NewInstanceForm, UserForm

Run = Callable[[Session, Given], None]

_RUNNING: Goal = frozenset({InstanceState.RUNNING})


def create_one(session: Session, given: Given) -> None:
    """Create one instance and show it."""
    wish, users = _wish(session, given, given[a.NAME]), session.cluster.users()
    vigil = begun_wait(session, given, _RUNNING)
    instance = session.cluster.calls.call("createVm", InstanceForm, instance=wish)
    if vigil is not None:
        with session.terminal.progress(1) as note:
            instance = vigil.until_there([instance], note)[0].instance
    session.terminal.show_one(sheets.INSTANCES, shown_row(instance, users))


def create_many(session: Session, given: Given) -> None:
    """Create several instances, numbered with as many digits as the last one needs."""
    count = given[a.COUNT]
    digits = len(str(count - 1))
    first = _wish(session, given, f"{given[a.BASENAME]}-{0:0{digits}}")
    users, vigil = session.cluster.users(), begun_wait(session, given, _RUNNING)
    names = [f"{given[a.BASENAME]}-{number:0{digits}}" for number in range(count)]
    with session.terminal.progress(count) as note:
        made = _create_each(session, first, names, note)
        if vigil is not None:
            made = [fate.instance for fate in vigil.until_there(made, note)]
    session.terminal.show(sheets.INSTANCES, sheets.instance_rows(made, users))


def change(call: str, goal: Goal, said: str) -> Run:
    """Make what gives one instance a command and says that it is `said`."""

    def run(session: Session, given: Given) -> None:
        cluster = session.cluster
        users, instance_id = cluster.users(), cluster.instance_id(given[a.INSTANCE])
        vigil = begun_wait(session, given, goal)
        instance = cluster.calls.call(call, InstanceForm, instance_id=instance_id)
        words = f"{instance.name} {said}."
        if vigil is not None:
            fate = _until_there(session, vigil, instance)
            instance, words = fate.instance, f"{fate}."
        session.terminal.say(words, shown_row(instance, users))

    return run


def change_many(call: str, goal: Goal, said: str) -> Run:
    """Make what gives each instance of a series a command and says how many are `said`."""

    def run(session: Session, given: Given) -> None:
        series = session.cluster.instances_of_series(given[a.BASENAME])
        users, vigil = session.cluster.users(), begun_wait(session, given, goal)
        with session.terminal.progress(len(series)) as note:
            accepted, failures = _command_each(session, call, series, note)
            if vigil is not None:
                accepted = [fate.instance for fate in vigil.until_there(accepted, note)]
        plural = "instance is" if len(accepted) == 1 else "instances are"
        rows = sheets.instance_rows(accepted, users)
        session.terminal.say(f"{len(accepted)} {plural} {said}.", rows)
        if failures:
            raise _with(failures[0], f" ({len(failures)} of {len(series)} were not {said}.)")

    return run


def migrate(session: Session, given: Given) -> None:
    """Move an instance to another host; with a wait, say whether it got there."""
    cluster = session.cluster
    users, instance_id = cluster.users(), cluster.instance_id(given[a.INSTANCE])
    host_id = cluster.host_id(given[a.DESTINATION])
    vigil = begun_wait(session, given, _RUNNING)
    moving = cluster.calls.call("migrateVm", InstanceForm, instance_id=instance_id, host_id=host_id)
    words = f"{moving.name} is moving to {given[a.DESTINATION]}."
    if vigil is not None:
        hint = f" cancelMigration --instance {moving.name} leaves it where it is."
        fate = _until_there(session, vigil, moving, hint)
        moving, words = fate.instance, f"{moving.name} runs on {given[a.DESTINATION]}."
        if moving.host_id != host_id:
            raise Failed(f"{moving.name} stays where it is: {moving.reason}", instance=moving.id)
    session.terminal.say(words, shown_row(moving, users))


def reset(session: Session, given: Given) -> None:
    """Press the reset button; there is nothing to wait for."""
    cluster = session.cluster
    users, instance_id = cluster.users(), cluster.instance_id(given[a.INSTANCE])
    instance = cluster.calls.call("resetVm", InstanceForm, instance_id=instance_id)
    session.terminal.say(f"{instance.name} is reset.", shown_row(instance, users))


def _until_there(session: Session, vigil: Vigil, instance: InstanceForm, hint: str = "") -> Fate:
    """What became of it; an interruption ends the wait and nothing else."""
    try:
        with session.terminal.crossing() as (note, shows):
            (fate,) = vigil.until_there([instance], note, shows)
    except KeyboardInterrupt:
        session.terminal.add(f"Only the wait for {instance.name} is over, the work goes on.{hint}")
        raise
    return fate


def _create_each(
    session: Session, first: NewInstanceForm, names: Sequence[str], note: Note
) -> list[InstanceForm]:
    made: list[InstanceForm] = []
    for name in names:
        note(f"creating {name}", len(made))
        wish = msgspec.structs.replace(first, name=name)
        try:
            made.append(session.cluster.calls.call("createVm", InstanceForm, instance=wish))
        except TashiError as error:
            raise _with(error, f" ({len(made)} of {len(names)} were created.)") from error
    return made


def _command_each(
    session: Session, call: str, series: Sequence[InstanceForm], note: Note
) -> tuple[list[InstanceForm], list[TashiError]]:
    accepted: list[InstanceForm] = []
    failures: list[TashiError] = []
    for one in series:
        note(one.name, len(accepted))
        try:
            accepted.append(session.cluster.calls.call(call, InstanceForm, instance_id=one.id))
        except (Refused, Failed) as error:
            failures.append(error)
    return accepted, failures


def _with(error: TashiError, more: str) -> TashiError:
    return type(error)(error.message + more, **error.about)


def _wish(session: Session, given: Given, name: str) -> NewInstanceForm:
    cluster = session.cluster
    owner, nics = given[a.OWNER], given[a.NICS]
    return NewInstanceForm(
        name=name,
        disks=given[a.DISKS],
        user_id=None if owner is None else cluster.user_id(owner),
        cores=given[a.CORES],
        memory=given[a.MEMORY],
        nics=None if nics is None else tuple(cluster.nic(wish) for wish in nics),
        hints=dict(given[a.HINTS]),
        group_name=given[a.GROUP],
        on_exit=given[a.ON_EXIT],
        on_loss=given[a.ON_LOSS],
    )


def begun_wait(session: Session, given: Given, goal: Goal) -> Vigil | None:
    """The wait for the goal, if one was asked for."""
    if not given[a.WAIT]:
        return None
    return Vigil(session.cluster, goal, session.clock, given[a.TIMEOUT])


def shown_row(instance: InstanceForm, users: Sequence[UserForm]) -> Row:
    """An instance as it is shown."""
    return sheets.instance_rows([instance], users)[0]
