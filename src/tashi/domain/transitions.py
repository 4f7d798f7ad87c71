"""The life of an instance as a table, and the short engine that reads it.

First law: an instance's state changes here and nowhere else. Second: which row applies depends on
the state and the kind of event alone, so the table can be printed, drawn, counted and tested.
Commands without a row are refused; reports and observations without one are stale.

The rows of migration are written for two hosts in the record: while memory is crossing, nobody but
the two nodes knows which of them runs the guest, and the books must name both.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import reduce
from typing import Final

from tashi.domain import alterations as a
from tashi.domain import events as e
from tashi.domain import notices as n
from tashi.domain import typed
from tashi.domain.edits import EDITS, Edit
from tashi.domain.errors import Broken, IncorrectState
from tashi.domain.identity import InstanceId, Mib, UserId
from tashi.domain.instance import Instance
from tashi.domain.instructions import Ask, Instruction, instruct, newly_spent
from tashi.domain.listings import owes
from tashi.domain.states import InstanceState, Phase, facts

_S = InstanceState


class Then(Enum):
    """Where a rule leads when it does not name a state."""

    SAME = auto()
    """To the state it was in."""
    WAS = auto()
    """To the state an orphan had before its host fell silent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: when `on` befalls an instance in one of `when`, it becomes `then`.

    `books` are the edits of its record, `orders` what the world is asked to do, `line` is the text
    of the accounting line (empty: none is written). That the image store is to delete what the
    edits make spent goes without saying.
    """

    on: type[e.Event]
    when: frozenset[InstanceState]
    then: InstanceState | Then
    books: tuple[Edit, ...]
    orders: tuple[Ask, ...]
    line: str


@dataclass(frozen=True, slots=True)
class Step:
    """What an event made of an instance; `stale` when it made nothing."""

    record: Instance
    instructions: tuple[Instruction, ...] = ()
    line: str = ""
    stale: bool = False


def _rule(
    on: type[e.Event],
    when: Iterable[InstanceState],
    then: InstanceState | Then,
    books: Iterable[Edit] = (),
    orders: Iterable[Ask] = (),
    line: str = "CM VM UPDATE",
) -> Rule:
    return Rule(on, frozenset(when), then, tuple(books), tuple(orders), line)


ON_HOST: Final = {
    _S.ACTIVATING, _S.RESUMING, _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.UNPAUSING, _S.SUSPENDING,
    _S.MIGRATE_PREP, _S.MIGRATE_TRANS, _S.SHUTTING_DOWN, _S.ALTERING,
}  # fmt: skip
LOSABLE: Final = {
    _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.UNPAUSING, _S.SUSPENDING, _S.MIGRATE_TRANS,
    _S.ALTERING,
}  # fmt: skip
ENDABLE: Final = {
    _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.UNPAUSING, _S.SUSPENDING, _S.SHUTTING_DOWN,
    _S.ALTERING,
}  # fmt: skip
MIGRATING: Final = {_S.MIGRATE_PREP, _S.MIGRATE_TRANS}
AT_REST: Final = {_S.STOPPED, _S.PENDING, _S.HELD}
SETTLED: Final = {state for state in _S if facts(state).phase in {Phase.SETTLED, Phase.WAITING}}
OVERDUE: Final = {state for state in _S if facts(state).patience is not None}

_SAME, _WAS = Then.SAME, Then.WAS

# fmt: off
TABLE: Final[tuple[Rule, ...]] = (
    # on               while it is                                       becomes            books                                  orders
    _rule(e.Place,         {_S.PENDING, _S.HELD},                        _S.ACTIVATING,     [Edit.TAKE_HOST],                      [Ask.START], "CM VM ACTIVATE"),
    _rule(e.PlaceSaved,    {_S.PENDING, _S.HELD},                        _S.RESUMING,       [Edit.TAKE_HOST],                      [Ask.RESTORE], "CM VM ACTIVATE"),
    _rule(e.ShutDown,      {_S.RUNNING, _S.SHUTTING_DOWN},               _S.SHUTTING_DOWN,  [Edit.WILL_NOT_KEEP],                  [Ask.POWER_DOWN], "CM VM SHUTDOWN"),
    _rule(e.Stop,          {_S.RUNNING, _S.SHUTTING_DOWN},               _S.SHUTTING_DOWN,  [Edit.WILL_KEEP],                      [Ask.POWER_DOWN], "CM VM SHUTDOWN"),
    _rule(e.Stop,          {_S.PENDING, _S.HELD},                        _S.STOPPED,        [],                                    [Ask.STORE], "CM VM STOP"),
    _rule(e.Start,         {_S.STOPPED},                                 _S.PENDING,        [Edit.FRESH_TRIES],                    [], "CM VM START"),
    _rule(e.Destroy,       {_S.PENDING, _S.HELD, _S.SUSPENDED, _S.STOPPED}, _S.EXITED,      [Edit.OWE_CLEARING],                   [Ask.FORGET], "CM VM DESTROY UNSTARTED"),
    _rule(e.Destroy,       {_S.ACTIVATING, _S.RESUMING},                 _S.DESTROYING,     [],                                    [Ask.KILL], "CM VM DESTROY STARTING"),
    _rule(e.Destroy,       (ON_HOST - {_S.ACTIVATING, _S.RESUMING}) | {_S.DESTROYING, _S.ORPHANED}, _S.DESTROYING, [Edit.WILL_NOT_SAVE], [Ask.KILL], "CM VM DESTROY"),
    _rule(e.Suspend,       {_S.RUNNING},                                 _S.SUSPENDING,     [],                                    [Ask.SAVE], "CM VM SUSPEND"),
    _rule(e.Resume,        {_S.SUSPENDED},                               _S.PENDING,        [Edit.FRESH_TRIES],                    [], "CM VM RESUME"),
    _rule(e.Pause,         {_S.RUNNING},                                 _S.PAUSING,        [],                                    [Ask.PAUSE], "CM VM PAUSE"),
    _rule(e.Unpause,       {_S.PAUSED},                                  _S.UNPAUSING,      [],                                    [Ask.UNPAUSE], "CM VM UNPAUSE"),
    _rule(e.Reset,         {_S.RUNNING},                                 _SAME,             [],                                    [],          "CM VM SPECIFIC CALL"),
    _rule(e.Migrate,       {_S.RUNNING},                                 _S.MIGRATE_PREP,   [Edit.TAKE_TARGET],                    [Ask.PREPARE_TARGET], "CM VM MIGRATE"),
    _rule(e.CancelMigrate, {_S.MIGRATE_PREP},                            _S.RUNNING,        [Edit.LEAVE_TARGET],                   [Ask.KILL_TARGET]),
    _rule(e.CancelMigrate, {_S.MIGRATE_TRANS},                           _SAME,             [],                                    [Ask.CANCEL_SEND]),
    _rule(a.Rename,        SETTLED,                                      _SAME,             [Edit.SET_NAME],                       []),
    _rule(a.Resize,        AT_REST,                                      _SAME,             [Edit.SET_SIZE],                       []),
    _rule(a.AttachDisk,    {_S.RUNNING},                                 _S.ALTERING,       [Edit.WANT_DEVICES],                   [Ask.ALTER]),
    _rule(a.AttachDisk,    {_S.STOPPED},                                 _SAME,             [Edit.SET_DEVICES],                    []),
    _rule(a.DetachDisk,    {_S.RUNNING},                                 _S.ALTERING,       [Edit.WANT_DEVICES],                   [Ask.ALTER]),
    _rule(a.DetachDisk,    {_S.STOPPED},                                 _SAME,             [Edit.SET_DEVICES],                    []),
    _rule(a.AttachNic,     {_S.RUNNING},                                 _S.ALTERING,       [Edit.WANT_DEVICES],                   [Ask.ALTER]),
    _rule(a.AttachNic,     {_S.STOPPED},                                 _SAME,             [Edit.SET_DEVICES],                    []),
    _rule(a.DetachNic,     {_S.RUNNING},                                 _S.ALTERING,       [Edit.WANT_DEVICES],                   [Ask.ALTER]),
    _rule(a.DetachNic,     {_S.STOPPED},                                 _SAME,             [Edit.SET_DEVICES],                    []),
    _rule(a.ChangeCdrom,   {_S.RUNNING},                                 _S.ALTERING,       [Edit.WANT_DEVICES],                   [Ask.ALTER]),
    _rule(a.ChangeCdrom,   {_S.STOPPED},                                 _SAME,             [Edit.SET_DEVICES],                    []),
    _rule(a.StartVnc,      {_S.RUNNING, _S.PAUSED, _S.SHUTTING_DOWN},      _SAME,             [],                                    [],          "CM VM SPECIFIC CALL"),
    _rule(a.StopVnc,       {_S.RUNNING, _S.PAUSED, _S.SHUTTING_DOWN},      _SAME,             [],                                    [],          "CM VM SPECIFIC CALL"),

    _rule(a.Altered,       {_S.ALTERING},                                _S.RUNNING,        [Edit.GET_WANTED]),
    _rule(a.AlterFailed,   {_S.ALTERING},                                _S.RUNNING,        [Edit.DROP_WANTED]),
    _rule(e.Started,       {_S.ACTIVATING},                              _S.RUNNING,        [Edit.NOTE_VM]),
    _rule(e.Started,       {_S.RESUMING},                                _S.RUNNING,        [Edit.NOTE_VM, Edit.DROP_SAVED]),
    _rule(e.StartFailed,   {_S.ACTIVATING, _S.RESUMING},                 _S.HELD,           [Edit.LEAVE_HOST, Edit.COUNT_TRY]),
    _rule(e.MemorySpent,   {_S.RESUMING},                                _S.PENDING,        [Edit.LEAVE_HOST, Edit.DROP_SAVED]),
    _rule(e.PauseDone,     {_S.PAUSING},                                 _S.PAUSED),
    _rule(e.PauseFailed,   {_S.PAUSING},                                 _S.RUNNING),
    _rule(e.UnpauseDone,   {_S.UNPAUSING},                               _S.RUNNING),
    _rule(e.UnpauseFailed, {_S.UNPAUSING},                               _S.PAUSED),
    _rule(e.Saved,         {_S.SUSPENDING},                              _S.SUSPENDED,      [Edit.KEEP_DISKS, Edit.LEAVE_HOST, Edit.NOTE_SAVED], [Ask.STORE]),
    _rule(e.Saved,         {_S.DESTROYING},                              _S.EXITED,         [Edit.NOTE_SAVED, Edit.OWE_CLEARING, Edit.LEAVE_HOST], [Ask.FORGET]),
    _rule(e.SaveFailed,    {_S.SUSPENDING},                              _S.RUNNING),
    _rule(e.TargetReady,   {_S.MIGRATE_PREP},                            _S.MIGRATE_TRANS,  [Edit.NOTE_INCOMING],                  [Ask.SEND]),
    _rule(e.TargetFailed,  {_S.MIGRATE_PREP},                            _S.RUNNING,        [Edit.LEAVE_TARGET]),
    _rule(e.MoveFailed,    {_S.MIGRATE_TRANS},                           _S.RUNNING,        [Edit.LEAVE_TARGET],                   [Ask.KILL_TARGET]),
    _rule(e.SourceLeft,    {_S.MIGRATE_TRANS},                           _SAME,             [Edit.MOVE_TO_TARGET],                 [Ask.RUN, Ask.FORGET_SOURCE]),
    _rule(e.SourceLeft,    {_S.DESTROYING},                              _SAME,             [Edit.MOVE_TO_TARGET],                 [Ask.KILL], ""),
    _rule(e.Arrived,       {_S.MIGRATE_TRANS},                           _S.RUNNING,        [Edit.MOVE_TO_TARGET, Edit.NOTE_VM],   [Ask.FORGET_SOURCE]),
    _rule(e.GuestExited,   ENDABLE | {_S.DESTROYING},                    _S.EXITED,         [Edit.OWE_CLEARING, Edit.LEAVE_HOST],  [Ask.FORGET]),
    _rule(e.GuestExited,   MIGRATING,                                    _S.EXITED,         [Edit.LEAVE_TARGET, Edit.OWE_CLEARING, Edit.LEAVE_HOST], [Ask.KILL_TARGET, Ask.FORGET]),
    _rule(e.GuestStopped,  ENDABLE,                                      _S.STOPPED,        [Edit.KEEP_DISKS, Edit.LEAVE_HOST],    [Ask.STORE]),
    _rule(e.GuestStopped,  MIGRATING,                                    _S.STOPPED,        [Edit.LEAVE_TARGET, Edit.KEEP_DISKS, Edit.LEAVE_HOST], [Ask.KILL_TARGET, Ask.STORE]),
    _rule(e.GuestRestart,  ENDABLE - {_S.SHUTTING_DOWN},                 _S.PENDING,        [Edit.KEEP_DISKS, Edit.LEAVE_HOST, Edit.COUNT_TRY]),
    _rule(e.GuestRestart,  MIGRATING,                                    _S.PENDING,        [Edit.LEAVE_TARGET, Edit.KEEP_DISKS, Edit.LEAVE_HOST, Edit.COUNT_TRY], [Ask.KILL_TARGET]),
    _rule(e.SeenRunning,   {_S.PAUSED},                                  _S.RUNNING),
    _rule(e.SeenPaused,    {_S.RUNNING},                                 _S.PAUSED),
    _rule(e.DisksStored,   {_S.SUSPENDED, _S.STOPPED, _S.PENDING, _S.HELD}, _SAME,          [Edit.NOTE_STORED],                    [Ask.CLEAR_LEFTOVERS]),
    _rule(e.SeenAddress,   ON_HOST,                                      _SAME,             [Edit.NOTE_ADDRESS]),
    _rule(e.Cleared,       set(_S),                                      _SAME,             [Edit.CLEARED],                        [], ""),

    _rule(n.BookAddresses, set(_S) - {_S.EXITED},                        _SAME,             [Edit.NOTE_BOOKED]),
    _rule(n.SiteTold,      set(_S),                                      _SAME,             [Edit.NOTE_SITE],                      [], ""),
    _rule(n.Discarded,     set(_S),                                      _SAME,             [Edit.DISCARD],                        [], ""),
    _rule(n.Deleted,       set(_S),                                      _SAME,             [Edit.CROSS_OUT],                      [], ""),

    _rule(e.HostLost,      ON_HOST,                                      _S.ORPHANED,       [Edit.NOTE_WAS]),
    _rule(e.HostBack,      {_S.ORPHANED},                                _WAS,              [],                                    [Ask.REPEAT]),
    _rule(e.OneGone,       {_S.DESTROYING},                              _SAME,             [Edit.LEAVE_THAT_HOST],                [], ""),
    _rule(e.TargetGone,    {_S.MIGRATE_PREP},                            _S.RUNNING,        [Edit.LEAVE_TARGET],                   [Ask.KILL_TARGET]),
    _rule(e.TargetGone,    {_S.MIGRATE_TRANS},                           _SAME,             [],                                    [], ""),
    _rule(e.SourceGone,    {_S.MIGRATE_TRANS},                           _SAME,             [Edit.MOVE_TO_TARGET],                 [Ask.RUN, Ask.FORGET_SOURCE]),
    _rule(e.StartLost,     {_S.ACTIVATING, _S.RESUMING},                 _S.PENDING,        [Edit.LOSE_DISKS, Edit.LEAVE_HOST]),
    _rule(e.GoneRestart,   LOSABLE - MIGRATING,                          _S.PENDING,        [Edit.KEEP_DISKS, Edit.LEAVE_HOST, Edit.COUNT_TRY]),
    _rule(e.GoneRestart,   MIGRATING,                                    _S.PENDING,        [Edit.LEAVE_TARGET, Edit.KEEP_DISKS, Edit.LEAVE_HOST, Edit.COUNT_TRY], [Ask.KILL_TARGET]),
    _rule(e.GoneStop,      (LOSABLE - MIGRATING) | {_S.SHUTTING_DOWN},   _S.STOPPED,        [Edit.KEEP_DISKS, Edit.LEAVE_HOST],    [Ask.STORE]),
    _rule(e.GoneStop,      MIGRATING,                                    _S.STOPPED,        [Edit.LEAVE_TARGET, Edit.KEEP_DISKS, Edit.LEAVE_HOST], [Ask.KILL_TARGET, Ask.STORE]),
    _rule(e.GoneForget,    (LOSABLE - MIGRATING) | {_S.SHUTTING_DOWN, _S.DESTROYING}, _S.EXITED,         [Edit.OWE_CLEARING_IF_DISKS, Edit.LEAVE_HOST], [Ask.FORGET]),
    _rule(e.GoneForget,    MIGRATING,                                    _S.EXITED,         [Edit.LEAVE_TARGET, Edit.OWE_CLEARING_IF_DISKS, Edit.LEAVE_HOST], [Ask.KILL_TARGET, Ask.FORGET]),
    _rule(e.DisksLost,     {_S.PENDING, _S.HELD, _S.STOPPED},            _SAME,             [Edit.LOSE_DISKS, Edit.DROP_SAVED],    [], "CM VM DISKS LOST"),
    _rule(e.DisksLost,     {_S.SUSPENDED},                               _S.STOPPED,        [Edit.LOSE_DISKS, Edit.DROP_SAVED],    [Ask.STORE], "CM VM DISKS LOST"),
    _rule(e.WaitEnded,     {_S.PENDING, _S.HELD},                        _S.STOPPED,        [Edit.LOSE_DISKS, Edit.DROP_SAVED],    [Ask.STORE], "CM VM DISKS LOST"),
    _rule(e.NothingKept,   {_S.PENDING, _S.HELD, _S.STOPPED, _S.SUSPENDED}, _SAME,          [Edit.LOSE_DISKS]),
    _rule(e.LeftoversLost, set(_S),                                      _SAME,             [Edit.CLEARED],                        [], ""),
    _rule(e.Overdue,       OVERDUE,                                      _SAME,             [],                                    [Ask.REPEAT], ""),
)
# fmt: on

RULES: Final = {(state, rule.on): rule for rule in TABLE for state in rule.when}


def step(before: Instance, event: e.Event) -> Step:
    """Say what becomes of an instance when `event` befalls it; the only way its state changes.

    Raises IncorrectState when the event is a command that its state does not allow.
    """
    rule = RULES.get((before.state, type(event)))
    if rule is None:
        if isinstance(event, e.Command):
            raise _refusal(before, type(event))
        return Step(before, stale=True)
    becomes = _state_after(rule, before)
    edited = reduce(lambda record, edit: EDITS[edit](record, event), rule.books, before)
    after = replace(
        edited,
        state=becomes,
        was=edited.was if becomes is _S.ORPHANED else None,
        operation=event.operation
        if isinstance(event, e.Command) and event.renews
        else before.operation,
        reason=_words(event, before),
    )
    if len(after.hosts) not in facts(after.state).hosts:
        raise Broken(f"{after} would be {after.state.title} on {len(after.hosts)} hosts.")
    asked = tuple(one for ask in rule.orders for one in instruct(ask, before, after))
    return Step(after, (*asked, *newly_spent(before, after)), rule.line)


def is_forgotten(record: Instance) -> bool:
    """Whether an instance is over and nobody owes anything for it any more."""
    owed = record.leftovers or record.spent or owes(record)
    return record.state is InstanceState.EXITED and not owed


def forgotten(key: InstanceId) -> Instance:
    """A record of an instance of which there is none any more, for what is found of it yet."""
    return Instance(
        id=key,
        name="forgotten",
        user_id=UserId(0),
        cores=1,
        memory=Mib(1),
        disks=(),
        state=InstanceState.EXITED,
    )


def check_fits(record: Instance, kind: type[e.Command]) -> None:
    """Raise IncorrectState, with what is possible, unless the state takes that command."""
    if (record.state, kind) not in RULES:
        raise _refusal(record, kind)


def commands_in(state: InstanceState) -> tuple[type[e.Command], ...]:
    """The commands that an instance in that state takes, in the table's order."""
    found = (rule.on for rule in TABLE if state in rule.when and issubclass(rule.on, e.Command))
    return tuple(dict.fromkeys(found))


def _state_after(rule: Rule, before: Instance) -> InstanceState:
    if rule.then is Then.SAME:
        return before.state
    if rule.then is Then.WAS:
        if before.was is None:
            raise Broken(f"{before} is Orphaned, but its record does not say what it was.")
        return before.was
    return rule.then


def _words(event: e.Event, before: Instance) -> str:
    if isinstance(event, e.Report | e.Observation):
        return event.words or before.reason
    return before.reason if isinstance(event, n.Notice) else ""


_PLACING: Final = (e.Place, e.PlaceSaved)


def _either(words: list[str]) -> str:
    *others, last = words or [""]
    return f"{', '.join(others)} or {last}" if others else last


def _refusal(before: Instance, kind: type[e.Command]) -> IncorrectState:
    allowed = [typed.command(one) for one in commands_in(before.state) if one not in _PLACING]
    fitting = [state.title for state in InstanceState if (state, kind) in RULES]
    if len(allowed) > len(fitting) > 0:
        remedy = f"and would have to be {_either(fitting)}"
    else:
        remedy = f"where you can {f'{_either(allowed)} it' if allowed else 'only wait'}"
    return IncorrectState(
        f"{typed.command(kind)} does not fit: {before} is {before.state.title}, {remedy}.",
        instance=before.id,
    )
