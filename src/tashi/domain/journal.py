"""The cluster's numbered events: what was committed, in order, for everybody who follows along.

An entry carries the record it is about, whole and as it stands after the change, so that a
follower that applies entries in order has the same books as the cluster manager. Its line is the
accounting text of Apache Tashi (`CM VM ACTIVATE` …); an empty one is not worth a line.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import (
    CommitNumber,
    Epoch,
    EventNumber,
    HostId,
    InstanceId,
    Operation,
    Session,
)
from tashi.domain.instance import Instance

Record = Instance | Host | Network | User


class Kind(StrEnum):
    """The four kinds of records."""

    INSTANCE = "instance"
    HOST = "host"
    NETWORK = "network"
    USER = "user"


_KINDS: dict[type, Kind] = {
    Instance: Kind.INSTANCE,
    Host: Kind.HOST,
    Network: Kind.NETWORK,
    User: Kind.USER,
}


@dataclass(frozen=True, slots=True)
class Put:
    """The record stands in the books like this."""

    record: Record

    @property
    def kind(self) -> Kind:
        """Which of the four kinds the record is."""
        return _KINDS[type(self.record)]

    @property
    def key(self) -> int:
        """The record's id."""
        return self.record.id


@dataclass(frozen=True, slots=True)
class Drop:
    """There is no such record in the books any more."""

    kind: Kind
    key: int


Change = Put | Drop


@dataclass(frozen=True, slots=True)
class Entry:
    """One numbered event; `at` is in seconds since 1970, `by` says who caused it."""

    number: EventNumber
    at: float
    line: str
    by: str
    change: Change


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, kept so that its repeat gets the same (`text` is JSON)."""

    request: str
    text: str
    event: EventNumber


FARTHEST_LEAP: Final = 100_000
"""No id is leapt over that is so far away: they are in names that have room for seven digits."""


@dataclass(frozen=True, slots=True)
class Counters:
    """The numbers that are given out next, and the present reign; none is ever given twice.

    Where books were put back from a copy, or lost and begun anew, the ids from `lost_from` to
    before `lost_to` may have been given out by those that are lost.
    """

    instance: InstanceId = InstanceId(1)
    host: HostId = HostId(1)
    operation: Operation = Operation(1)
    session: Session = Session(1)
    event: EventNumber = EventNumber(1)
    epoch: Epoch = Epoch(0)
    lost_from: InstanceId = InstanceId(0)
    lost_to: InstanceId = InstanceId(0)

    def gave_out(self, instance: InstanceId) -> bool:
        """Whether these books have given out that id, so that they know what became of it."""
        return instance < self.instance and not self.lost_from <= instance < self.lost_to

    def beyond(self, instance: InstanceId) -> "Counters":
        """These, going on beyond an id that books which are lost have given out.

        They go on where they are when it is too far away: then it is more likely a mistake.
        """
        if not self.instance <= instance < self.instance + FARTHEST_LEAP:
            return self
        following = InstanceId(instance + 1)
        begun = self.lost_from or self.instance
        return replace(self, instance=following, lost_from=begun, lost_to=following)


@dataclass(frozen=True, slots=True)
class Commit:
    """All that becomes durable together.

    Entries before the event `forget_before` need not be kept any longer (the records they carry
    stay, of course), and no answers before `forget_answers_before`.
    """

    number: CommitNumber
    entries: tuple[Entry, ...]
    answers: tuple[Answer, ...]
    counters: Counters
    forget_before: EventNumber = EventNumber(0)
    forget_answers_before: EventNumber = EventNumber(0)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a store holds: the present records and what is kept of the past."""

    number: CommitNumber = CommitNumber(0)
    records: tuple[Record, ...] = ()
    entries: tuple[Entry, ...] = ()
    answers: tuple[Answer, ...] = ()
    counters: Counters = Counters()
