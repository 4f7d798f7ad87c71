"""What has been counted of guests: by their monitors, and by the kernel for processes and TAPs.

All monitors are asked at the same time, so that those that hang keep nobody else waiting. What the
kernel counts is read from /proc, which speaks of the network namespace that this program is in
(/sys does not, where it was mounted in another).
"""

import os
import time
from asyncio import gather
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.remembered import Remembered
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import VmId
from tashi.ports.hypervisor import Counters, DiskCounters, NicCounters
from tashi.ports.network import tap_name

_PATIENCE_SECONDS: Final = 3.0
_PROC: Final = Path("/proc")
_LINKS: Final = _PROC / "net" / "dev"
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_NANO: Final = 10**9

# Where things stand in the lines of proc(5).
_UTIME, _STIME = 11, 12
_RX_BYTES, _RX_PACKETS, _TX_BYTES, _TX_PACKETS = 0, 1, 8, 9


class _BlockStats(msgspec.Struct):
    rd_bytes: int
    wr_bytes: int
    rd_operations: int
    wr_operations: int


class _Block(msgspec.Struct, rename="kebab"):
    stats: _BlockStats
    qdev: str = ""
    node_name: str = ""


class _Balloon(msgspec.Struct):
    actual: int


@dataclass(frozen=True, slots=True)
class Link:
    """What the kernel has counted of a network device; received is what came to the kernel."""

    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the kernel says of a guest's process; sizes in bytes."""

    cpu_nanoseconds: int
    rss: int
    vsize: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What a monitor says."""

    disks: tuple[DiskCounters, ...]
    balloon: int | None


def counters(guests: Iterable[Guest], reactor: Reactor) -> list[Counters]:
    """The counters of these guests; one that does not answer is left out."""
    asked = [guest for guest in guests if guest.settled and not guest.ended.is_set()]
    if not asked:
        return []
    told = reactor.call(_ask_all(asked))
    links = links_now()
    found = []
    for guest, one in zip(asked, told, strict=True):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            if one is not None:
                found.append(_counted(guest, one, links))
    return found


def links_now() -> dict[str, Link]:
    """The network devices of this machine."""
    return read_links(_LINKS.read_text())


def process_now(vm_id: VmId) -> Process:
    """What a process has used and has; raises OSError or ValueError when it is gone."""
    process = _PROC / str(vm_id)
    vsize, rss = (process / "statm").read_text().split()[:2]
    return Process(
        cpu_nanoseconds=read_cpu_nanoseconds((process / "stat").read_text()),
        rss=int(rss) * _PAGE_BYTES,
        vsize=int(vsize) * _PAGE_BYTES,
    )


def read_links(text: str) -> dict[str, Link]:
    """The network devices that /proc/net/dev speaks of."""
    found = {}
    for line in text.splitlines():
        name, colon, numbers = line.partition(":")
        if colon:
            values = [int(one) for one in numbers.split()]
            found[name.strip()] = Link(
                values[_RX_BYTES], values[_RX_PACKETS], values[_TX_BYTES], values[_TX_PACKETS]
            )
    return found


def read_cpu_nanoseconds(stat: str) -> int:
    """How long a process has run, from /proc/PID/stat; its name may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) * _NANO // _TICKS_A_SECOND


async def _ask_all(guests: Sequence[Guest]) -> list[_Told | None]:
    return await gather(*(_ask(guest) for guest in guests))


async def _ask(guest: Guest) -> _Told | None:
    try:
        answer = await guest.monitor.ask("query-blockstats", within_seconds=_PATIENCE_SECONDS)
        blocks = msgspec.convert(answer, list[_Block])
    except (HypervisorFailed, msgspec.ValidationError):
        return None
    balloon = None
    with suppress(HypervisorFailed, msgspec.ValidationError):  # not every guest has one
        answer = await guest.monitor.ask("query-balloon", within_seconds=_PATIENCE_SECONDS)
        balloon = msgspec.convert(answer, _Balloon).actual
    return _Told(tuple(_disk(block) for block in blocks if block.qdev and block.node_name), balloon)


def _disk(block: _Block) -> DiskCounters:
    return DiskCounters(
        name=block.node_name,
        reads=block.stats.rd_operations,
        writes=block.stats.wr_operations,
        read_bytes=block.stats.rd_bytes,
        written_bytes=block.stats.wr_bytes,
    )


def _counted(guest: Guest, told: _Told, links: Mapping[str, Link]) -> Counters:
    process = process_now(guest.vm_id)
    return Counters(
        instance_id=guest.id,
        vm_id=guest.vm_id,
        at=time.monotonic(),
        cpu_nanoseconds=process.cpu_nanoseconds,
        rss=process.rss,
        vsize=process.vsize,
        balloon=told.balloon,
        disks=told.disks,
        nics=tuple(nics_of(guest, links)),
    )


def nics_of(guest: Remembered, links: Mapping[str, Link]) -> Iterable[NicCounters]:
    """The cards that have a TAP here; what comes to the kernel there, the guest has sent."""
    for number, nic in guest.cards.items():
        link = links.get(tap_name(guest.id, number))
        if link is not None:
            yield NicCounters(
                mac=nic.mac,
                received_packets=link.sent_packets,
                sent_packets=link.received_packets,
                received_bytes=link.sent_bytes,
                sent_bytes=link.received_bytes,
            )
