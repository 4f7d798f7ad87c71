"""The shape of everything that travels or is stored, and the way between records and forms.

A form has the fields of its record under their wire names. Decoding is strict: an unknown field or
a value of the wrong type is refused. `to_form` and `to_record` convert by field name, so a field
that is added to a record and forgotten here is noticed by the tests of this room. How orders and
reports become forms stands in `orders`; what is true for a moment only has its forms in `glimpses`.
"""

from typing import Final, TypeVar, cast

import msgspec

from tashi.domain.catalogue import Image, Network, User
from tashi.domain.engine import Engine, Hardware
from tashi.domain.errors import BadRequest
from tashi.domain.guest import Ending, Guest, GuestState, Inventory
from tashi.domain.host import Host, Machine
from tashi.domain.identity import EventNumber
from tashi.domain.instance import (
    Devices,
    Disk,
    Forward,
    Instance,
    Listing,
    ListingStage,
    Nic,
    OnExit,
    OnLoss,
    Spent,
)
from tashi.domain.journal import Answer, Counters, Drop, Entry, Kind, Put, Record
from tashi.domain.states import HostState, InstanceState, Order
from tashi.wire.bookkeeping import AnswerForm, CountersForm
from tashi.wire.glimpses import ProgressForm, StatsForm
from tashi.wire.hardware import EngineForm, HardwareForm
from tashi.wire.images import ImageForm
from tashi.wire.shape import Form, Number, UserNumber

T = TypeVar("T")


class ForwardForm(Form, frozen=True, omit_defaults=True):
    """A guest's port on a loopback port of its host."""

    guest_port: Number
    host_port: Number


class DiskForm(Form, frozen=True, omit_defaults=True):
    """A disk; persistent ones keep what is written. One that was plugged in has a port."""

    uri: str
    persistent: bool = False
    port: Number = 0


class NicForm(Form, frozen=True, omit_defaults=True):
    """A network card; an empty MAC asks for one to be given."""

    network: Number
    mac: str = ""
    ip: str | None = None
    forwards: tuple[ForwardForm, ...] = ()
    port: Number = 0


class DevicesForm(Form, frozen=True, omit_defaults=True):
    """What can be plugged in and out, and the image in the CD drive."""

    disks: tuple[DiskForm, ...] = ()
    nics: tuple[NicForm, ...] = ()
    cdrom: str = ""


class ListingForm(Form, frozen=True, omit_defaults=True):
    """An address that is booked for a network card, and the host name that goes with it."""

    mac: str
    network: Number
    ip: str
    name: str = ""
    number: Number = 0
    stage: ListingStage = ListingStage.ASKED


class SpentForm(Form, frozen=True, omit_defaults=True):
    """Stored disks, or saved memory, that the image store is yet to delete."""

    name: str
    memory: bool = False


class InstanceForm(Form, frozen=True, omit_defaults=True):
    """An instance, whole; `stats` and `progress` are what its node said a moment ago."""

    id: int
    name: str
    user_id: int
    cores: int
    memory: int
    disks: tuple[DiskForm, ...]
    nics: tuple[NicForm, ...] = ()
    hints: dict[str, str] = msgspec.field(default_factory=dict)
    group_name: str = ""
    cdrom: str = ""
    on_exit: OnExit = OnExit.FORGET
    on_loss: OnLoss = OnLoss.RESTART
    state: InstanceState = InstanceState.PENDING
    host_id: int | None = None
    target_id: int | None = None
    vm_id: int | None = None
    attempt: int = 0
    operation: int = 0
    was: InstanceState | None = None
    saved: str | None = None
    disks_on: int | None = None
    stored: str | None = None
    spent: tuple[SpentForm, ...] = ()
    incoming: str = ""
    wanted: DevicesForm | None = None
    leftovers: tuple[int, ...] = ()
    keep: bool = False
    tries: int = 0
    reason: str = ""
    changed_at: float = 0.0
    hardware: HardwareForm | None = None
    listings: tuple[ListingForm, ...] = ()
    announced: bool = False
    trouble: str = ""
    decayed: bool = False
    stats: StatsForm | None = None
    progress: ProgressForm | None = None


class NewInstanceForm(Form, frozen=True, omit_defaults=True):
    """What a user asks for; no owner means the caller, no network cards means one."""

    name: str
    disks: tuple[DiskForm, ...]
    user_id: UserNumber | None = None
    cores: Number = 1
    memory: Number = 128
    nics: tuple[NicForm, ...] | None = None
    hints: dict[str, str] = msgspec.field(default_factory=dict)
    group_name: str = ""
    on_exit: OnExit = OnExit.FORGET
    on_loss: OnLoss = OnLoss.RESTART


class HostForm(Form, frozen=True, omit_defaults=True):
    """A host, whole; with the days for which the certificate is good that its node showed last."""

    id: int
    name: str
    up: bool = False
    state: HostState = HostState.NORMAL
    memory: int = 0
    cores: int = 0
    version: str = ""
    notes: str = ""
    reserved: tuple[int, ...] = ()
    address: str = ""
    port: int = 0
    boot_id: str = ""
    networks: tuple[int, ...] | None = None
    session: int = 0
    draining: bool = False
    engine: EngineForm | None = None
    migration_address: str = ""
    decayed: bool = False
    certificate_days: float | None = None


class NetworkForm(Form, frozen=True):
    """A network; exactly one is the default."""

    id: int
    name: str
    default: bool = False


class UserForm(Form, frozen=True):
    """A user."""

    id: int
    name: str


class EntryForm(Form, frozen=True, omit_defaults=True):
    """A numbered event with the record it is about; without the record, it was removed."""

    number: int
    at: float
    line: str
    by: str
    kind: Kind
    key: int
    instance: InstanceForm | None = None
    host: HostForm | None = None
    network: NetworkForm | None = None
    user: UserForm | None = None


class MachineForm(Form, frozen=True):
    """What a node says of its machine."""

    name: str
    memory: Number
    cores: Number
    version: str
    address: str
    port: Number
    boot_id: str
    networks: tuple[Number, ...] | None = None
    engine: EngineForm | None = None
    migration_address: str = ""


class SessionForm(Form, frozen=True):
    """The conversation that a node's orders and reports belong to."""

    host_id: Number
    epoch: Number
    session: Number


class OrderForm(Form, frozen=True, omit_defaults=True):
    """An order to a node about one instance; without the record, to end what has none any more.

    `peer` is the address that a guest is to come from.
    """

    order: Order
    instance_id: int
    attempt: int
    operation: int
    instance: InstanceForm | None = None
    peer: str = ""


class ReportForm(Form, frozen=True, omit_defaults=True):
    """A node's word about one attempt; `kind` is the name of the report."""

    kind: str
    instance_id: Number
    attempt: Number
    operation: Number
    words: str = ""
    vm_id: Number = 0
    nics: tuple[NicForm, ...] = ()
    saved: str = ""
    stored: str = ""
    incoming: str = ""
    how: Ending = Ending.CRASHED
    disks_remain: bool = True
    hardware: HardwareForm | None = None
    mac: str = ""
    ip: str = ""


class GuestForm(Form, frozen=True, omit_defaults=True):
    """One line of an inventory."""

    instance_id: Number
    attempt: Number
    operation: Number
    state: GuestState
    vm_id: Number | None = None


class InventoryForm(Form, frozen=True):
    """Every guest that a node has."""

    session: Number
    guests: tuple[GuestForm, ...]


class ProposalForm(Form, frozen=True):
    """A host for a waiting instance."""

    instance_id: Number
    host_id: Number


class VerdictForm(Form, frozen=True, omit_defaults=True):
    """What became of a proposal; words say why it was refused."""

    instance_id: int
    accepted: bool
    words: str = ""


class EventsForm(Form, frozen=True):
    """Events in order, and the number to ask with next."""

    events: tuple[EntryForm, ...]
    next: int


class SnapshotForm(Form, frozen=True):
    """Every record, and the number of the first event that it does not contain."""

    instances: tuple[InstanceForm, ...]
    hosts: tuple[HostForm, ...]
    networks: tuple[NetworkForm, ...]
    users: tuple[UserForm, ...]
    next: int


class ConsoleForm(Form, frozen=True):
    """A piece of a guest's serial console; ask again from `offset`."""

    text: str
    offset: int


_FORMS: Final[dict[type, type[Form]]] = {
    Instance: InstanceForm,
    Host: HostForm,
    Network: NetworkForm,
    User: UserForm,
    Image: ImageForm,
    Nic: NicForm,
    Disk: DiskForm,
    Forward: ForwardForm,
    Engine: EngineForm,
    Hardware: HardwareForm,
    Devices: DevicesForm,
    Listing: ListingForm,
    Spent: SpentForm,
    Answer: AnswerForm,
    Counters: CountersForm,
    Machine: MachineForm,
    Guest: GuestForm,
    Inventory: InventoryForm,
}


def to_form(record: object, form: type[T]) -> T:
    """The record in its wire shape."""
    return msgspec.convert(record, form, from_attributes=True)


def to_record(form: Form, kind: type[T]) -> T:
    """The record that a form is the shape of; raises BadRequest when its values are impossible."""
    try:
        return msgspec.convert(form, kind, from_attributes=True)
    except msgspec.ValidationError as wrong:
        raise BadRequest(f"{kind.__name__}: {wrong}.") from wrong


def form_of(kind: type) -> type[Form]:
    """The form that belongs to a kind of record."""
    return _FORMS[kind]


def entry_form(entry: Entry) -> EntryForm:
    """A numbered event in its wire shape."""
    change = entry.change
    shape = {} if isinstance(change, Drop) else {change.kind.value: _record_form(change.record)}
    return EntryForm(
        number=entry.number,
        at=entry.at,
        line=entry.line,
        by=entry.by,
        kind=change.kind,
        key=change.key,
        **shape,  # type: ignore[arg-type]  # the field is named for the kind of its form
    )


def entry_record(form: EntryForm) -> Entry:
    """The numbered event that a form is the shape of; raises BadRequest."""
    shape = form.instance or form.host or form.network or form.user
    change = Drop(form.kind, form.key) if shape is None else Put(_record(form.kind, shape))
    return Entry(
        number=EventNumber(form.number), at=form.at, line=form.line, by=form.by, change=change
    )


_RECORDS: Final[dict[Kind, type]] = {
    Kind.INSTANCE: Instance,
    Kind.HOST: Host,
    Kind.NETWORK: Network,
    Kind.USER: User,
}


def _record_form(record: Record) -> Form:
    return to_form(record, form_of(type(record)))


def _record(kind: Kind, form: Form) -> Record:
    return cast("Record", to_record(form, _RECORDS[kind]))
