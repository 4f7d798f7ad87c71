"""What a guest that does next to nothing would have used: the counters of simulated guests."""

from typing import Final

from tashi.domain.identity import VmId
from tashi.ports.hypervisor import Counters, DiskCounters, GuestSpec, NicCounters

_MIB: Final = 1024 * 1024
_BLOCK: Final = 4096
_PACKET: Final = 80
_IDLE_LOAD: Final = 0.05


def counters_of(spec: GuestSpec, vm_id: VmId, writes: int, since: float, now: float) -> Counters:
    """A quiet guest's counters: they grow with its time, its disk's also with what it wrote."""
    lived = max(0.0, now - since)
    disks = tuple(
        DiskCounters(
            name=f"disk{number}",
            reads=100,
            writes=writes + int(lived),
            read_bytes=100 * _BLOCK,
            written_bytes=(writes + int(lived)) * _BLOCK,
        )
        for number, _ in enumerate(spec.disks)
    )
    packets = int(2 * lived)
    nics = tuple(
        NicCounters(
            mac=nic.mac,
            received_packets=packets,
            sent_packets=packets,
            received_bytes=packets * _PACKET,
            sent_bytes=packets * _PACKET,
        )
        for nic in spec.nics
    )
    memory = spec.memory * _MIB
    return Counters(
        instance_id=spec.instance_id,
        vm_id=vm_id,
        at=now,
        cpu_nanoseconds=int(lived * _IDLE_LOAD * 10**9),
        rss=memory + 64 * _MIB,
        vsize=memory + 1024 * _MIB,
        balloon=memory,
        disks=disks,
        nics=nics,
    )
