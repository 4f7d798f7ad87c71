"""The way between orders and reports and their forms.

A room of its own beside `forms`, because only the cluster manager and its nodes speak of orders and
reports: clients, which start often, need not wait for the events of the domain to be loaded. A
report travels under the name of its class, with the fields that this kind of report has.
"""

from dataclasses import fields
from typing import Final

from tashi.domain import alterations, events
from tashi.domain.engine import Hardware
from tashi.domain.errors import BadRequest
from tashi.domain.identity import Attempt, HostId, InstanceId, Operation, VmId
from tashi.domain.instance import Instance, Nic
from tashi.domain.instructions import NodeOrder
from tashi.wire import codec
from tashi.wire.forms import (
    InstanceForm,
    NicForm,
    OrderForm,
    ReportForm,
    to_form,
    to_record,
)
from tashi.wire.hardware import HardwareForm

_NOT_SAID: Final = {
    events.Report,
    # What the end of a guest means for its instance is not for a node to say.
    events.GuestExited,
    events.GuestStopped,
    events.GuestRestart,
}
_REPORTS: Final[dict[str, type[events.Report]]] = {
    name: kind
    for name, kind in {**vars(alterations), **vars(events)}.items()
    if isinstance(kind, type) and issubclass(kind, events.Report) and kind not in _NOT_SAID
}
_EXTRAS: Final = (
    "vm_id",
    "nics",
    "saved",
    "stored",
    "incoming",
    "how",
    "disks_remain",
    "hardware",
    "mac",
    "ip",
)


def order_form(order: NodeOrder) -> OrderForm:
    """An order in its wire shape; the host it is for is the one it is sent to."""
    record = order.instance
    return OrderForm(
        order=order.order,
        instance_id=order.instance_id,
        attempt=order.attempt,
        operation=order.operation,
        instance=None if record is None else to_form(record, InstanceForm),
        peer=order.peer,
    )


def order_bytes(order: NodeOrder) -> int:
    """How much of a call an order takes up."""
    return len(codec.encode(order_form(order)))


def order_record(form: OrderForm, host: HostId) -> NodeOrder:
    """The order that a form is the shape of, for that host; raises BadRequest."""
    return NodeOrder(
        host_id=host,
        order=form.order,
        instance_id=InstanceId(form.instance_id),
        attempt=Attempt(form.attempt),
        operation=Operation(form.operation),
        instance=None if form.instance is None else to_record(form.instance, Instance),
        peer=form.peer,
    )


def report_form(instance_id: int, report: events.Report) -> ReportForm:
    """A node's report in its wire shape."""
    extras = {name: getattr(report, name) for name in _EXTRAS if hasattr(report, name)}
    if "nics" in extras:
        extras["nics"] = tuple(to_form(nic, NicForm) for nic in extras["nics"])
    if extras.get("hardware") is not None:
        extras["hardware"] = to_form(extras["hardware"], HardwareForm)
    return ReportForm(
        kind=type(report).__name__,
        instance_id=instance_id,
        attempt=report.attempt,
        operation=report.operation,
        words=report.words,
        **extras,
    )


def report_record(form: ReportForm, host: HostId) -> events.Report:
    """The report that a form is the shape of, from that host; raises BadRequest."""
    kind = _REPORTS.get(form.kind)
    if kind is None:
        raise BadRequest(f"There is no report {form.kind!r}.")
    known = {field.name for field in fields(kind)}
    extras = {
        "vm_id": VmId(form.vm_id),
        "nics": tuple(to_record(nic, Nic) for nic in form.nics),
        "saved": form.saved,
        "stored": form.stored,
        "incoming": form.incoming,
        "how": form.how,
        "disks_remain": form.disks_remain,
        "hardware": None if form.hardware is None else to_record(form.hardware, Hardware),
        "mac": form.mac,
        "ip": form.ip,
    }
    return kind(
        host_id=host,
        attempt=Attempt(form.attempt),
        operation=Operation(form.operation),
        words=form.words,
        **{name: value for name, value in extras.items() if name in known},
    )
