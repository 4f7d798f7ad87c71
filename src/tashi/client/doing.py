"""What the commands that change instances do: accept, say so, and wait where that was asked for.

Names become ids first, the wait begins, the command is sent, and only then is anything shown. Of
several instances each is commanded by itself: one that is refused does not keep the others from it,
but counts in the end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Given
from tashi.client.command import Session
from tashi.client.tables import Row, counted
from tashi.client.waiting import Fate, Goal, Vigil
from tashi.domain.errors import Failed, NotLeader, PeerSilent, Refused, TashiError
from tashi.domain.states import InstanceState
from tashi.wire.forms import InstanceForm, NewInstanceForm

Run = Callable[[Session, Given], None]

_RUNNING: Goal = frozenset({InstanceState.RUNNING})


def create_one(session: Session, given: Given) -> None:
    """Create one instance and show it."""
    wish = _wish(session, given, given[a.NAME])
    vigil = begun_wait(session, given, _RUNNING)
    instance = session.cluster.calls.call("createVm", InstanceForm, instance=wish)
    if vigil is not None:
        with only_a_wait(session, instance.name), session.terminal.progress(1) as note:
            instance = vigil.until_there([instance], note)[0].instance
    session.terminal.show_one(sheets.INSTANCES, shown_row(session, instance))


def create_many(session: Session, given: Given) -> None:
    """Create several instances, numbered with as many digits as the last one needs.

    Those that were made are shown also when others were not, or are not there yet.
    """
    count = given[a.COUNT]
    digits = len(str(count - 1))
    first = _wish(session, given, f"{given[a.BASENAME]}-{0:0{digits}}")
    # Nothing is asked any more when the making is interrupted.
    owner = session.cluster.me() if first.user_id is None else first.user_id
    owners, vigil = session.cluster.owners([owner]), begun_wait(session, given, _RUNNING)
    names = (f"{given[a.BASENAME]}-{number:0{digits}}" for number in range(count))
    made: list[InstanceForm] = []
    try:
        _create_each(session, first, names, count, made)
        if vigil is not None:
            with only_a_wait(session, counted(count, "instance")):
                _until_all_there(session, vigil, made)
    finally:
        if made:
            shown = made if vigil is None else vigil.last_seen(made)
            session.terminal.show(sheets.INSTANCES, sheets.instance_rows(shown, owners))


def change(call: str, goal: Goal, said: str) -> Run:
    """Make what gives one instance a command and says that it is `said`."""

    def run(session: Session, given: Given) -> None:
        cluster = session.cluster
        instance_id = cluster.instance_id(given[a.INSTANCE])
        vigil = begun_wait(session, given, goal)
        instance = cluster.calls.call(call, InstanceForm, instance_id=instance_id)
        words = f"{instance.name} {said}."
        if vigil is not None:
            fate = _until_there(session, vigil, instance)
            instance, words = fate.instance, f"{fate}."
        session.terminal.say(words, shown_row(session, instance))

    return run


def change_many(call: str, goal: Goal, said: str) -> Run:
    """Make what gives each instance of a series a command and says how many are `said`."""

    def run(session: Session, given: Given) -> None:
        series = session.cluster.instances_of_series(given[a.BASENAME])
        vigil = begun_wait(session, given, goal)
        accepted, failures = _command_each(session, call, series, said)
        words = _are(len(accepted), said)
        if vigil is not None and accepted:
            with only_a_wait(session, counted(len(accepted), "instance")):
                fates = _until_all_there(session, vigil, accepted)
            accepted = [fate.instance for fate in fates]
            found = Counter(fate.words for fate in fates).items()
            words = ", ".join(_are(number, became) for became, number in found)
        session.terminal.say(f"{words}.", shown_rows(session, accepted))
        if failures:
            raise _with(failures[0], f" ({len(failures)} of {len(series)} were not {said}.)")

    return run


def migrate(session: Session, given: Given) -> None:
    """Move an instance to another host; with a wait, say whether it got there."""
    cluster = session.cluster
    instance_id = cluster.instance_id(given[a.INSTANCE])
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
    session.terminal.say(words, shown_row(session, moving))


def reset(session: Session, given: Given) -> None:
    """Press the reset button; there is nothing to wait for."""
    cluster = session.cluster
    instance_id = cluster.instance_id(given[a.INSTANCE])
    instance = cluster.calls.call("resetVm", InstanceForm, instance_id=instance_id)
    session.terminal.say(f"{instance.name} is reset.", shown_row(session, instance))


@contextmanager
def only_a_wait(session: Session, what: str, hint: str = "") -> Iterator[None]:
    """Say of an interruption, or a silence, that it ends the wait and nothing else."""
    words = f"Only the wait for {what} is over, the work goes on.{hint}"
    try:
        yield
    except KeyboardInterrupt:
        session.terminal.add(words)
        raise
    except (NotLeader, PeerSilent) as nobody:
        raise _with(nobody, f" {words}") from nobody


def _until_there(session: Session, vigil: Vigil, instance: InstanceForm, hint: str = "") -> Fate:
    with (
        only_a_wait(session, instance.name, hint),
        session.terminal.crossing() as (note, shows),
    ):
        (fate,) = vigil.until_there([instance], note, shows)
    return fate


def _until_all_there(
    session: Session, vigil: Vigil, accepted: Sequence[InstanceForm]
) -> tuple[Fate, ...]:
    with session.terminal.progress(len(accepted)) as note:
        return vigil.until_there(accepted, note)


def _create_each(
    session: Session,
    first: NewInstanceForm,
    names: Iterable[str],
    count: int,
    made: list[InstanceForm],
) -> None:
    """Add to those that are `made`, one call each; who interrupts it hears how many there are."""
    try:
        with session.terminal.progress(count) as note:
            for name in names:
                note(f"creating {name}", len(made))
                wish = msgspec.structs.replace(first, name=name)
                made.append(session.cluster.calls.call("createVm", InstanceForm, instance=wish))
    except TashiError as error:
        raise _with(error, f" ({len(made)} of {count} were created.)") from error
    except KeyboardInterrupt:
        session.terminal.add(f"{len(made)} of {count} were created.")
        raise


def _command_each(
    session: Session, call: str, series: Sequence[InstanceForm], said: str
) -> tuple[list[InstanceForm], list[TashiError]]:
    accepted: list[InstanceForm] = []
    failures: list[TashiError] = []
    try:
        with session.terminal.progress(len(series)) as note:
            for one in series:
                note(one.name, len(accepted))
                try:
                    found = session.cluster.calls.call(call, InstanceForm, instance_id=one.id)
                    accepted.append(found)
                except (Refused, Failed) as error:
                    failures.append(error)
    except KeyboardInterrupt:
        session.terminal.add(f"{_are(len(accepted), said)}, of {len(series)}.")
        raise
    return accepted, failures


def _are(number: int, what: str) -> str:
    return f"{counted(number, 'instance')} {'is' if number == 1 else 'are'} {what}"


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


def shown_row(session: Session, instance: InstanceForm) -> Row:
    """An instance as it is shown."""
    return shown_rows(session, [instance])[0]


def shown_rows(session: Session, instances: Sequence[InstanceForm]) -> list[Row]:
    """Instances as they are shown: what was done with them is done, whoever their owners are."""
    return sheets.instance_rows(instances, session.cluster.owners(one.user_id for one in instances))
