"""Rates out of counters that go on, wrap around, or begin anew."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.guest import DiskRates, NicRates, Stats
from tashi.domain.identity import InstanceId, VmId
from tashi.nodemanager.rates import used, went_on
from tashi.ports.hypervisor import Counters, DiskCounters, NicCounters

WIDTHS = st.sampled_from([8, 32, 64])
DISK = DiskCounters(name="disk0", reads=100, writes=10, read_bytes=4000, written_bytes=400)
NIC = NicCounters(
    mac="52:54:00:00:00:07",
    received_packets=5,
    sent_packets=6,
    received_bytes=500,
    sent_bytes=600,
)
BEFORE = Counters(
    instance_id=InstanceId(7),
    vm_id=VmId(4711),
    at=100.0,
    cpu_nanoseconds=10**9,
    rss=1000,
    vsize=2000,
    balloon=900,
    disks=(DISK,),
    nics=(NIC,),
)
AFTER = replace(
    BEFORE,
    at=110.0,
    cpu_nanoseconds=6 * 10**9,
    rss=1100,
    disks=(replace(DISK, reads=120, written_bytes=1400),),
    nics=(replace(NIC, received_bytes=2500, sent_packets=16),),
)


@given(bits=WIDTHS, data=st.data())
def test_what_was_counted_is_found_even_through_the_end_of_the_counter(
    bits: int, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, 2**bits - 1))
    counted = data.draw(st.integers(0, 2 ** (bits - 1) - 1))

    assert went_on(begin, (begin + counted) % 2**bits, bits) == counted


@given(bits=WIDTHS, data=st.data())
def test_a_counter_that_began_anew_tells_what_was_counted_since(
    bits: int, data: st.DataObject
) -> None:
    before = data.draw(st.integers(1, 2 ** (bits - 1)))
    since = data.draw(st.integers(0, before - 1))

    assert went_on(before, since, bits) == since


@given(bits=WIDTHS, data=st.data())
def test_nothing_was_ever_counted_backwards(bits: int, data: st.DataObject) -> None:
    values = st.integers(0, 2**bits - 1)

    assert went_on(data.draw(values), data.draw(values), bits) >= 0


@given(readings=st.lists(st.integers(0, 2**64 - 1), min_size=2))
def test_no_rate_is_impossible(readings: list[int]) -> None:
    for before, after in pairwise(readings):
        stats = used(replace(BEFORE, cpu_nanoseconds=before), replace(AFTER, cpu_nanoseconds=after))
        assert stats is not None
        assert stats.cpu_load >= 0


def test_rates_are_by_the_second_and_sizes_are_of_now() -> None:
    assert used(BEFORE, AFTER) == Stats(
        seconds=10.0,
        cpu_load=0.5,
        rss=1100,
        vsize=2000,
        balloon=900,
        disks=(
            DiskRates(name="disk0", reads=2.0, writes=0.0, read_bytes=0.0, written_bytes=100.0),
        ),
        nics=(
            NicRates(
                mac=NIC.mac,
                received_packets=0.0,
                sent_packets=1.0,
                received_bytes=200.0,
                sent_bytes=0.0,
            ),
        ),
    )


def test_another_process_begins_anew() -> None:
    assert used(BEFORE, replace(AFTER, vm_id=VmId(4712))) is None


@pytest.mark.parametrize("at", [100.0, 99.0])
def test_without_time_in_between_there_is_no_rate(at: float) -> None:
    assert used(BEFORE, replace(AFTER, at=at)) is None


def test_devices_are_known_by_their_names_whatever_their_order() -> None:
    other = replace(DISK, name="disk1", reads=0)
    stats = used(
        replace(BEFORE, disks=(DISK, other)),
        replace(AFTER, disks=(replace(other, reads=50), replace(DISK, reads=110))),
    )

    assert stats is not None
    assert [(one.name, one.reads) for one in stats.disks] == [("disk1", 5.0), ("disk0", 1.0)]


def test_a_device_that_was_plugged_in_meanwhile_waits_for_the_next_reading() -> None:
    new = replace(NIC, mac="52:54:00:00:00:08")

    stats = used(BEFORE, replace(AFTER, nics=(NIC, new), disks=()))

    assert stats is not None
    assert [one.mac for one in stats.nics] == [NIC.mac]
    assert stats.disks == ()
