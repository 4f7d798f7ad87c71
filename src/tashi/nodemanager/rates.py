"""From counters to rates: what a guest used between two readings. Pure.

A counter that stands lower than before has wrapped around or begun anew. It has wrapped if the way
on through its end is the shorter one, less than half of all it can count; otherwise it began anew,
and what it stands at now is all that is known to have been counted since.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from tashi.domain.guest import DiskRates, NicRates, Stats
from tashi.ports.hypervisor import Counters, DiskCounters, NicCounters

_BITS: Final = 64
_NANO: Final = 10**9

Rate = Callable[[int, int], float]
D = TypeVar("D", DiskCounters, NicCounters)


def went_on(before: int, after: int, bits: int = _BITS) -> int:
    """By how much a counter of so many bits went on from one reading to the next, at least."""
    if after >= before:
        return after - before
    through = after + (1 << bits) - before
    return through if through < 1 << (bits - 1) else after


def used(before: Counters, after: Counters) -> Stats | None:
    """What a guest used between two readings; ``None`` if they are not of one process in turn."""
    seconds = after.at - before.at
    if before.vm_id != after.vm_id or seconds <= 0:
        return None

    def rate(earlier: int, later: int) -> float:
        return went_on(earlier, later) / seconds

    return Stats(
        seconds=seconds,
        cpu_load=rate(before.cpu_nanoseconds, after.cpu_nanoseconds) / _NANO,
        rss=after.rss,
        vsize=after.vsize,
        balloon=after.balloon,
        disks=tuple(_disk(*pair, rate) for pair in _pairs(before.disks, after.disks, _name)),
        nics=tuple(_nic(*pair, rate) for pair in _pairs(before.nics, after.nics, _mac)),
    )


def _disk(before: DiskCounters, after: DiskCounters, rate: Rate) -> DiskRates:
    return DiskRates(
        name=after.name,
        reads=rate(before.reads, after.reads),
        writes=rate(before.writes, after.writes),
        read_bytes=rate(before.read_bytes, after.read_bytes),
        written_bytes=rate(before.written_bytes, after.written_bytes),
    )


def _nic(before: NicCounters, after: NicCounters, rate: Rate) -> NicRates:
    return NicRates(
        mac=after.mac,
        received_packets=rate(before.received_packets, after.received_packets),
        sent_packets=rate(before.sent_packets, after.sent_packets),
        received_bytes=rate(before.received_bytes, after.received_bytes),
        sent_bytes=rate(before.sent_bytes, after.sent_bytes),
    )


def _pairs(
    before: Iterable[D], after: Iterable[D], key: Callable[[D], str]
) -> Iterable[tuple[D, D]]:
    """The devices that were there both times; one that was plugged in meanwhile waits a turn."""
    known = {key(one): one for one in before}
    return [(known[key(one)], one) for one in after if key(one) in known]


def _name(disk: DiskCounters) -> str:
    return disk.name


def _mac(nic: NicCounters) -> str:
    return nic.mac
