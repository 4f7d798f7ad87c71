"""Headstones of guests that are cleared away: removed at once, or when libvirtd lets go of them.

A libvirtd that is still making a domain for a node manager that is dead by now keeps it from being
undefined: until it is made, and then is ended, for nobody wants it; or, if it was killed meanwhile,
for good. One that was silent may do what it was asked when everybody has given up waiting.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.doing import LIVING, what_it_does
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.libvirt.domains import NEVER_COMES, forget, put_an_end_to
from tashi.adapters.hypervisor.libvirt.link import find
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId

_LATE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Headstones:
    """Those of the node whose folder that is.

    `left` are the guests whose are still to go, and until when one may come that is not there yet.
    """

    info: Path
    clock: Callable[[], float] = time.monotonic
    left: dict[InstanceId, float] = field(default_factory=dict)

    def expect_late(self, guest: InstanceId) -> None:
        """Look for a while: libvirtd was silent, and may yet do what it was asked for a guest."""
        self.left[guest] = self.clock() + _LATE_SECONDS

    def remove(self, connection: Connection, guest: InstanceId) -> None:
        """Have libvirt keep nothing of a guest, now or by `remove_left`; raises libvirtError."""
        until = self.left.get(guest, 0.0)
        if forget(connection, str(guest_uuid(guest)), self.info) and self.clock() >= until:
            self.left.pop(guest, None)
        else:
            self.left[guest] = until

    def remove_left(self, connection: Connection, here: Collection[InstanceId]) -> None:
        """Remove those that are left, but of guests that are `here` again.

        Raises libvirtError, or HypervisorFailed if some stay, or may still come.
        """
        for guest in here:
            self.left.pop(guest, None)
        for guest in sorted(self.left):
            self._end(connection, guest)
            self.remove(connection, guest)
        late = {guest for guest, until in self.left.items() if self.clock() < until}
        if stuck := self.left.keys() - late:
            raise HypervisorFailed(NEVER_COMES % _names(stuck))
        if late:
            raise HypervisorFailed(
                f"libvirtd was silent, and may yet make {_names(late)}, which nobody wants."
            )

    def _end(self, connection: Connection, guest: InstanceId) -> None:
        """End the domain of a guest that was cleared away, if libvirtd has made it after all."""
        uuid = str(guest_uuid(guest))
        doing, _ = what_it_does(find(connection, uuid))
        # Where libvirtd kept this waiting, the guest may have come again.
        if doing in LIVING and guest in self.left:
            put_an_end_to(connection, uuid, self.info)


def _names(guests: Collection[InstanceId]) -> str:
    return ", ".join(map(domain_name, sorted(guests)))
