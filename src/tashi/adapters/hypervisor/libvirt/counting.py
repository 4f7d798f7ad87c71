"""What has been counted of guests: by libvirt for disks, by the kernel for processes and TAPs."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.domain_xml import disk_targets
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.link import Link
from tashi.adapters.hypervisor.qemu.counting import links_now, nics_of, process_now
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import Counters, DiskCounters

GLANCE_SECONDS: Final = 3.0
"""How long what is only counted is waited for: a sign of life of this node may be next."""

_KIB: Final = 1024
_WANTED: Final = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_BLOCK
_AT_ONCE: Final = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)

_Told = Mapping[str, Any]
"""What libvirt has counted, by its own names: virConnectGetAllDomainStats."""


def counters(guests: Iterable[Guest], link: Link) -> list[Counters]:
    """The counters of these guests; one that does not answer is left out."""
    asked = [guest for guest in guests if guest.settled and not guest.ended.is_set()]
    if not asked:
        return []
    try:
        told = link.ask(_all_told, within=GLANCE_SECONDS)
    except HypervisorFailed:
        return []
    links = links_now()
    found = []
    for guest in asked:
        with suppress(OSError, ValueError, KeyError):  # it has ended meanwhile
            one = told[guest.uuid]
            process = process_now(guest.vm_id)
            found.append(
                Counters(
                    instance_id=guest.id,
                    vm_id=guest.vm_id,
                    at=time.monotonic(),
                    cpu_nanoseconds=process.cpu_nanoseconds,
                    rss=process.rss,
                    vsize=process.vsize,
                    balloon=_balloon(one),
                    disks=tuple(_disks(guest, one)),
                    nics=tuple(nics_of(guest, links)),
                )
            )
    return found


def _all_told(connection: Connection) -> dict[str, _Told]:
    told = connection.getAllDomainStats(_WANTED, _AT_ONCE)
    return {domain.UUIDString(): counted for domain, counted in told}


def _balloon(told: _Told) -> int | None:
    kibibytes = told.get("balloon.current")
    return None if kibibytes is None else int(kibibytes) * _KIB


def _disks(guest: Guest, told: _Told) -> Iterable[DiskCounters]:
    names = disk_targets(guest.record.spec)
    for number in range(told.get("block.count", 0)):
        block = f"block.{number}"
        name = names.get(told[f"{block}.name"])
        if name is not None and f"{block}.rd.reqs" in told:
            yield DiskCounters(
                name=name,
                reads=told[f"{block}.rd.reqs"],
                writes=told[f"{block}.wr.reqs"],
                read_bytes=told[f"{block}.rd.bytes"],
                written_bytes=told[f"{block}.wr.bytes"],
            )
