"""Headstones of guests that are cleared away: removed at once, or when libvirtd lets go of them.

A libvirtd that is still making a domain for a node manager that is dead by now keeps it from being
undefined: until it is made, and then is ended, for nobody wants it; or, if it was killed meanwhile,
for good.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.doing import LIVING, what_it_does
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.libvirt.domains import NEVER_COMES, forget, put_an_end_to
from tashi.adapters.hypervisor.libvirt.link import find
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId


@dataclass(frozen=True, slots=True)
class Headstones:
    """Those of the node whose folder that is; `left` are the guests whose are still to go."""

    info: Path
    left: set[InstanceId] = field(default_factory=set)

    def remove(self, connection: Connection, guest: InstanceId) -> None:
        """Have libvirt keep nothing of a guest, now or by `remove_left`; raises libvirtError."""
        if forget(connection, str(guest_uuid(guest)), self.info):
            self.left.discard(guest)
        else:
            self.left.add(guest)

    def remove_left(self, connection: Connection, here: Collection[InstanceId]) -> None:
        """Remove those that are left, but of guests that are `here` again.

        Raises libvirtError, or HypervisorFailed if some stay.
        """
        self.left.difference_update(here)
        for guest in sorted(self.left):
            self._end(connection, guest)
            self.remove(connection, guest)
        if self.left:
            raise HypervisorFailed(NEVER_COMES % ", ".join(map(domain_name, sorted(self.left))))

    def _end(self, connection: Connection, guest: InstanceId) -> None:
        """End the domain of a guest that was cleared away, if libvirtd has made it after all."""
        uuid = str(guest_uuid(guest))
        doing, _ = what_it_does(find(connection, uuid))
        # Where libvirtd kept this waiting, the guest may have come again.
        if doing in LIVING and guest in self.left:
            put_an_end_to(connection, uuid, self.info)
