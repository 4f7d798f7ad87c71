"""Every glimpse travels and comes back as its equal."""

from dataclasses import fields
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.guest import DiskRates, Glimpse, NicRates, Progress, Stats
from tashi.wire import glimpses as g
from tashi.wire.codec import decode, encode
from tashi.wire.forms import to_form, to_record
from wire.records import records

FORMS: Final[dict[type[Any], type[Any]]] = {
    Glimpse: g.GlimpseForm,
    Stats: g.StatsForm,
    Progress: g.ProgressForm,
    DiskRates: g.DiskRatesForm,
    NicRates: g.NicRatesForm,
}


@pytest.mark.parametrize("kind", FORMS)
@given(data=st.data())
def test_every_record_comes_back_as_its_equal(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(records(kind))

    form = to_form(record, FORMS[kind])

    assert to_record(decode(type(form), encode(form), "The form"), kind) == record


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_has_the_fields_of_its_record(kind: type[Any]) -> None:
    assert set(FORMS[kind].__struct_fields__) == {field.name for field in fields(kind)}
