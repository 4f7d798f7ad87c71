"""Every record travels and comes back as its equal, and nothing else is let in."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from examples import a_host, running, waiting
from tashi.domain import alterations
from tashi.domain import events as e
from tashi.domain.catalogue import Image, Network, User
from tashi.domain.errors import BadRequest
from tashi.domain.guest import Guest, Inventory
from tashi.domain.host import Host, Machine
from tashi.domain.identity import EventNumber, HostId
from tashi.domain.instance import Devices, Disk, Forward, Instance, Nic
from tashi.domain.instructions import NodeOrder
from tashi.domain.journal import Answer, Counters, Drop, Entry, Kind, Put
from tashi.wire import forms as f
from tashi.wire.codec import decode, encode
from tashi.wire.envelope import Request
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER
from tashi.wire.orders import order_form, order_record, report_form, report_record
from tashi.wire.shape import Form
from wire.records import records

RECORDS = [
    Instance, Host, Network, User, Image, Nic, Disk, Forward, Devices, Answer, Counters, Machine,
    Guest, Inventory,
]  # fmt: skip
NOT_IN_A_RECORD = {
    "InstanceForm": {"decayed", "stats", "progress"},
    "HostForm": {"decayed", "certificate_days"},
    "NetworkForm": {"default"},
}
REPORTS = [
    kind
    for kind in {**vars(alterations), **vars(e)}.values()
    if isinstance(kind, type) and issubclass(kind, e.Report) and kind is not e.Report
]
MADE_HERE = {e.GuestExited, e.GuestStopped, e.GuestRestart}
"""Reports that no node makes: the ledger makes them of GuestEnded."""


def there_and_back(form: Any) -> Any:
    return decode(type(form), encode(form), "The form")


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
def test_every_record_comes_back_as_its_equal(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(records(kind))

    form = there_and_back(f.to_form(record, f.form_of(kind)))

    assert f.to_record(form, kind) == record


@pytest.mark.parametrize("kind", RECORDS)
def test_a_form_has_the_fields_of_its_record(kind: type[Any]) -> None:
    form = f.form_of(kind)

    more = set(form.__struct_fields__) - {field.name for field in fields(kind)}
    less = {field.name for field in fields(kind)} - set(form.__struct_fields__)

    assert more == NOT_IN_A_RECORD.get(form.__name__, set())
    assert less == set()


@given(
    st.builds(
        Entry,
        number=st.integers(0, 2**53).map(EventNumber),
        at=st.floats(0, 2**40),
        line=st.text(),
        by=st.text(),
        change=st.one_of(
            st.builds(Put, st.one_of(*map(records, [Instance, Host, Network, User]))),
            st.builds(Drop, st.sampled_from(Kind), st.integers(0, 2**53)),
        ),
    )
)
def test_every_event_of_the_journal_comes_back_as_its_equal(entry: Entry) -> None:
    form = there_and_back(f.entry_form(entry))

    assert f.entry_record(form) == entry


@given(records(NodeOrder))
def test_every_order_comes_back_as_its_equal(order: NodeOrder) -> None:
    form = there_and_back(order_form(order))

    assert order_record(form, order.host_id) == order


@pytest.mark.parametrize("kind", [kind for kind in REPORTS if kind not in MADE_HERE])
@given(data=st.data())
def test_every_report_comes_back_as_its_equal(kind: type[e.Report], data: st.DataObject) -> None:
    report = data.draw(records(kind))

    form = there_and_back(report_form(7, report))

    assert form.instance_id == 7
    assert report_record(form, report.host_id) == report


@pytest.mark.parametrize("kind", ["Exploded", "Report", *sorted(one.__name__ for one in MADE_HERE)])
def test_a_report_that_no_node_makes_is_refused(kind: str) -> None:
    form = f.ReportForm(kind=kind, instance_id=1, attempt=1, operation=1)

    with pytest.raises(BadRequest, match=f"There is no report '{kind}'"):
        report_record(form, HostId(1))


def test_an_impossible_value_is_refused() -> None:
    form = msgspec.structs.replace(f.to_form(a_host(1), f.HostForm), memory="much")

    with pytest.raises(BadRequest, match="Host: Expected `int`, got `str`"):
        f.to_record(form, Host)


@pytest.mark.parametrize(
    "form", [f.to_form(running(waiting(1)), f.InstanceForm), f.to_form(a_host(1), f.HostForm)]
)
def test_an_unknown_field_is_refused(form: Form) -> None:
    content = encode(form)[:-1] + b',"extra":1}'

    with pytest.raises(BadRequest, match="extra"):
        decode(type(form), content, "The form")


def test_on_the_wire_names_are_written_as_tashi_writes_them() -> None:
    content = encode(f.to_form(running(waiting(1)), f.InstanceForm))

    assert b'"userId":500' in content
    assert b"user_id" not in content


@pytest.mark.parametrize(
    "row", [*CLUSTER_MANAGER.values(), *NODE_MANAGER.values()], ids=lambda row: row.name
)
def test_arguments_refuse_what_they_do_not_know(row: Any) -> None:
    with pytest.raises(BadRequest):
        decode(row.takes, b'{"extra":1}', "The request")


def test_no_number_that_comes_in_is_larger_than_every_store_can_hold() -> None:
    forms = [Request, *(row.takes for row in CLUSTER_MANAGER.values())]

    bounds = [
        (number.ge, number.le) for form in forms for number in numbers_in(inspect.type_info(form))
    ]

    assert len(bounds) > len(forms)
    assert set(bounds) == {(-(2**63), 2**63 - 1), (0, 2**32 - 2)}


def numbers_in(kind: inspect.Type) -> Iterator[inspect.IntType]:
    """Every number in what such a value holds."""
    match kind:
        case inspect.IntType():
            yield kind
        case inspect.StructType(fields=of):
            for field in of:
                yield from numbers_in(field.type)
        case inspect.UnionType(types=types):
            for one in types:
                yield from numbers_in(one)
        case inspect.VarTupleType(item_type=item):
            yield from numbers_in(item)


@pytest.mark.parametrize("user", [2**63, 2**32 - 1, -1])
def test_a_number_that_no_user_has_is_refused(user: int) -> None:
    with pytest.raises(BadRequest):
        decode(Request, encode({"v": "1.0", "id": "7", "call": "why", "user": user}), "It")
    with pytest.raises(BadRequest):
        decode(f.NewInstanceForm, encode({"name": "web", "disks": [], "userId": user}), "It")


@pytest.mark.parametrize("rows", [CLUSTER_MANAGER, NODE_MANAGER])
def test_every_row_is_found_by_its_name_and_says_what_it_does(rows: Any) -> None:
    assert all(name == row.name for name, row in rows.items())
    assert all(row.doc.endswith(".") for row in rows.values())
