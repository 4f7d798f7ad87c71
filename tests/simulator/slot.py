"""What one machine has of one instance: a process, or what is left of it on the disk."""

from dataclasses import dataclass
from typing import Final, TypedDict

from tashi.domain.events import Report
from tashi.domain.guest import Ending, Guest, GuestState
from tashi.domain.identity import Attempt, HostId, InstanceId, Operation
from tashi.domain.instructions import NodeOrder

LIVE: Final = frozenset(
    {GuestState.RUNNING, GuestState.FROZEN, GuestState.SAVING, GuestState.SENDING}
)
"""The states in which the guest has begun and has not ended; frozen counts, it may be thawed."""


def mac_of(key: InstanceId) -> str:
    """The MAC address of an instance's one network card."""
    return f"52:54:00:00:00:{key:02x}"


class Who(TypedDict):
    """Of what every report speaks."""

    host_id: HostId
    attempt: Attempt
    operation: Operation


def who(order: NodeOrder) -> Who:
    """Of what the outcome of an order speaks."""
    return Who(host_id=order.host_id, attempt=order.attempt, operation=order.operation)


@dataclass(slots=True)
class Slot:
    """One guest, or its remains.

    `loaded` says that all its memory is here (received, or read from a used file), `sent` that all
    of it has arrived elsewhere, which is not promised yet. `eager` is a process that was told to
    run before all had arrived: it does so as soon as it has. `intent` is the
    order being carried out, `outcome` what has come of it but is not recorded yet: a node manager
    that is killed in between finds both out again. `how` is how it ended, if it did; `unseen` says
    that nobody noticed yet.
    """

    attempt: Attempt
    operation: Operation
    state: GuestState
    disks: bool = True
    loaded: bool = False
    sent: bool = False
    eager: bool = False
    asked: bool = False
    saved: str = ""
    intent: NodeOrder | None = None
    outcome: Report | None = None
    how: Ending = Ending.CRASHED
    unseen: bool = False

    @property
    def is_live(self) -> bool:
        """Whether its vCPUs run or could run on."""
        return self.state in LIVE

    @property
    def is_process(self) -> bool:
        """Whether there is a process of it at all."""
        return self.state not in {GuestState.GONE, GuestState.LEFT}

    def end(self, how: Ending) -> None:
        """The process is no more; what it was doing has no outcome if it had none yet."""
        self.state, self.how, self.unseen = GuestState.GONE, how, True
        if self.outcome is None:
            self.intent = None

    def came_of(self, kind: type[Report]) -> None:
        """Its intent has come to an end, which is not recorded yet."""
        assert self.intent is not None
        self.outcome = kind(**who(self.intent))

    def listed(self, key: InstanceId) -> Guest:
        """Its line in an inventory."""
        return Guest(key, self.attempt, self.operation, self.state)
