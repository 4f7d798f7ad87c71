"""The lines of the journal that the accounting daemon keeps, each way.

    {"instances":[…],"hosts":[…],"networks":[…],"users":[…],"next":17,"at":1764428285.2}
    {"number":17,"at":1764428290.5,"line":"CM VM ACTIVATE","by":"scheduler","kind":"instance", …}

The first line of a volume says how the cluster stood; each further one is one numbered event as it
travels. Volumes are kept for years, so who reads them looks only for the fields that are needed and
lets be what other versions of Tashi have written beside them. Pure: bytes in, bytes out.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from tashi.domain.errors import BadRequest
from tashi.domain.identity import EventNumber, InstanceId, Mib, UserId
from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState
from tashi.domain.usage import Standing, Tally
from tashi.wire.forms import EntryForm, SnapshotForm

T = TypeVar("T")

_encode: Final = msgspec.json.Encoder().encode


class PresentForm(SnapshotForm, frozen=True):
    """How the cluster stood before event `next`, at that time by the accounting daemon's clock."""

    at: float


# ---- to bytes -----------------------------------------------------------------------------------


def first_line(snapshot: SnapshotForm, at: float) -> bytes:
    """The first line of a volume that begins with that snapshot, taken at that time."""
    return _encode(PresentForm(**msgspec.structs.asdict(snapshot), at=at)) + b"\n"


def event_lines(events: Sequence[EntryForm]) -> bytes:
    """Those events as lines."""
    return b"".join(_encode(event) + b"\n" for event in events)


# ---- from bytes ---------------------------------------------------------------------------------


class _Instance(msgspec.Struct, frozen=True, rename="camel"):
    """What usage needs of an instance."""

    id: int
    user_id: int
    cores: int
    memory: int
    state: InstanceState = InstanceState.PENDING
    changed_at: float = 0.0

    def standing(self) -> Standing:
        return Standing(
            InstanceId(self.id),
            UserId(self.user_id),
            self.cores,
            Mib(self.memory),
            self.state,
            self.changed_at,
        )


class _Present(msgspec.Struct, frozen=True):
    next: int
    instances: tuple[_Instance, ...]


class _Event(msgspec.Struct, frozen=True):
    number: int
    at: float
    kind: Kind
    key: int
    instance: _Instance | None = None


class _Next(msgspec.Struct, frozen=True):
    next: int


class _Number(msgspec.Struct, frozen=True):
    number: int


def _reader(form: type[T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(form)

    def read(line: bytes) -> T:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise BadRequest(f"it is no line of the journal ({wrong})") from wrong

    return read


_present: Final = _reader(_Present)
_event: Final = _reader(_Event)
_next: Final = _reader(_Next)
_number: Final = _reader(_Number)


def next_after_first(line: bytes) -> EventNumber:
    """The number of the event that follows a volume's first line; raises BadRequest."""
    return EventNumber(_next(line).next)


def number_of(line: bytes) -> EventNumber:
    """The number of the event in a line; raises BadRequest."""
    return EventNumber(_number(line).number)


def tell_present(line: bytes, tally: Tally) -> None:
    """Tell a tally the first line of a volume; raises BadRequest."""
    tally.stands(one.standing() for one in _present(line).instances)


def tell_event(line: bytes, tally: Tally) -> tuple[EventNumber, float]:
    """Tell a tally a further line; the event's number and time. Raises BadRequest."""
    event = _event(line)
    if event.kind is Kind.INSTANCE:
        standing = None if event.instance is None else event.instance.standing()
        tally.happened(event.at, InstanceId(event.key), standing)
    else:
        tally.heard(event.at)
    return EventNumber(event.number), event.at
