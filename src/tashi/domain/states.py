"""The states of an instance and of a host, with one row of facts for each.

No code outside this room lists states. Who wants to know whether an instance occupies a host,
waits for one or is over asks `facts(state)`. The numbers are Apache Tashi's and travel on the
wire; Stopped (17) and Altering (18) are those that Tashi did not have.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from functools import cache
from typing import Final


class InstanceState(IntEnum):
    """Where an instance is in its life."""

    PENDING = 1
    ACTIVATING = 2
    RUNNING = 3
    PAUSING = 4
    PAUSED = 5
    UNPAUSING = 6
    SUSPENDING = 7
    RESUMING = 8
    MIGRATE_PREP = 9
    MIGRATE_TRANS = 10
    SHUTTING_DOWN = 11
    DESTROYING = 12
    ORPHANED = 13
    HELD = 14
    EXITED = 15
    SUSPENDED = 16
    STOPPED = 17
    ALTERING = 18

    @property
    def title(self) -> str:
        """The state as people read it, for instance ``MigratePrep``."""
        return _title(self.name)


class HostState(IntEnum):
    """What an administrator, or a version check, says of a host."""

    NORMAL = 1
    DRAINED = 2
    VERSION_MISMATCH = 3

    @property
    def title(self) -> str:
        """The state as people read it, for instance ``VersionMismatch``."""
        return _title(self.name)


@cache
def _title(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


class Phase(Enum):
    """What kind of state it is: the question most callers really ask."""

    WAITING = auto()
    """For the scheduler to find it a host."""
    MOVING = auto()
    """A node was told something and has not answered yet."""
    SETTLED = auto()
    """Nothing is under way."""
    LOST = auto()
    """Its host is silent; nobody knows."""
    ENDED = auto()
    """Over; only leftovers remain."""


class Order(Enum):
    """What a node, or the image store, can be told about one instance."""

    START = "start"
    RESTORE = "restore"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SAVE = "save"
    PREPARE_TARGET = "prepareTarget"
    SEND = "send"
    RUN = "run"
    CANCEL_SEND = "cancelSend"
    POWER_DOWN = "powerDown"
    KILL = "kill"
    STORE = "store"
    ALTER = "alter"
    FORGET = "forget"


class Patience(Enum):
    """Which setting says how long a moving state may last before its order is repeated."""

    ACTIVATE = "activateTimeout"
    MONITOR = "monitorTimeout"
    MIGRATE = "migrateTimeout"
    KILL = "monitorTimeout, at most 30 s"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of every instance in a state."""

    phase: Phase
    hosts: frozenset[int]
    order: Order | None
    patience: Patience | None
    meaning: str

    @property
    def is_charged(self) -> bool:
        """Whether its owner is charged: as far as anybody knows, its guest is there on a host.

        That is not so before the guest has started, once it is being killed, or while its host is
        silent.
        """
        on_a_host = 0 not in self.hosts and self.phase is not Phase.LOST
        return on_a_host and self.order not in {Order.START, Order.RESTORE, Order.KILL}


def _row(
    phase: Phase,
    hosts: set[int],
    order: Order | None,
    patience: Patience | None,
    meaning: str,
) -> Facts:
    return Facts(phase, frozenset(hosts), order, patience, meaning)


_S = InstanceState
_P = Patience

# fmt: off
FACTS: Final[dict[InstanceState, Facts]] = {
    _S.PENDING:       _row(Phase.WAITING, {0},    None,                 None,        "accepted; the scheduler should find it a host"),
    _S.HELD:          _row(Phase.WAITING, {0},    None,                 None,        "a start failed; tried again, after the pending ones, with growing pauses"),
    _S.ACTIVATING:    _row(Phase.MOVING,  {1},    Order.START,          _P.ACTIVATE, "a node was told to start it"),
    _S.RESUMING:      _row(Phase.MOVING,  {1},    Order.RESTORE,        _P.MIGRATE,  "a node was told to restore it from its saved memory"),
    _S.RUNNING:       _row(Phase.SETTLED, {1},    None,                 None,        "its guest runs"),
    _S.PAUSING:       _row(Phase.MOVING,  {1},    Order.PAUSE,          _P.MONITOR,  "a node was told to freeze it"),
    _S.PAUSED:        _row(Phase.SETTLED, {1},    None,                 None,        "frozen in the host's memory"),
    _S.UNPAUSING:     _row(Phase.MOVING,  {1},    Order.UNPAUSE,        _P.MONITOR,  "a node was told to thaw it"),
    _S.SUSPENDING:    _row(Phase.MOVING,  {1},    Order.SAVE,           _P.MIGRATE,  "its memory is being written to the image store"),
    _S.SUSPENDED:     _row(Phase.SETTLED, {0},    Order.STORE,          None,        "lives on disk only; the host that has its disks was told to put them into the image store"),
    _S.MIGRATE_PREP:  _row(Phase.MOVING,  {2},    Order.PREPARE_TARGET, _P.MIGRATE,  "the target makes ready"),
    _S.MIGRATE_TRANS: _row(Phase.MOVING,  {1, 2}, Order.SEND,           _P.MIGRATE,  "memory is crossing; once the source has left, the target is told to run it"),
    _S.ALTERING:      _row(Phase.MOVING,  {1},    Order.ALTER,          _P.MONITOR,  "a device is being plugged into its guest, or out of it"),
    _S.SHUTTING_DOWN: _row(Phase.SETTLED, {1},    Order.POWER_DOWN,     None,        "the guest was asked to power off, which it may ignore for ever"),
    _S.DESTROYING:    _row(Phase.MOVING,  {1, 2}, Order.KILL,           _P.KILL,     "every host in its record was told to kill it"),
    _S.ORPHANED:      _row(Phase.LOST,    {1, 2}, None,                 None,        "its host is silent; the record remembers what it was"),
    _S.STOPPED:       _row(Phase.SETTLED, {0},    Order.STORE,          None,        "not running; record and disks stay, and the disks go to the image store"),
    _S.EXITED:        _row(Phase.ENDED,   {0},    None,                 None,        "over; kept, hidden, until each of its leftovers is reported gone"),
}
# fmt: on


def facts(state: InstanceState) -> Facts:
    """What is true of every instance in that state."""
    return FACTS[state]
