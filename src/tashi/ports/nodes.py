"""The node managers, as the cluster manager speaks to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId
from tashi.domain.instructions import NodeOrder


@dataclass(frozen=True, slots=True)
class ScreenPlace:
    """Where a display is shown: on an address and port, or a socket of the host; `tls` or not."""

    address: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False


class Nodes(Protocol):
    """Calls to the node of a host; each raises PeerSilent when it does not answer in time."""

    def take_orders(
        self, host: Host, epoch: Epoch, number: int, orders: Sequence[NodeOrder]
    ) -> None:
        """Hand over the orders numbered `number` in the host's session.

        Returns once they are taken up, which never waits for a guest. A number that was taken up
        before is harmless. Raises StaleSession when the node has no such session.
        """
        ...

    def forget(self, host: HostId) -> None:
        """Let go of what is held open to a host's node; calls under way may end with PeerSilent.

        Never waits. Another call to the host begins anew.
        """
        ...

    def live_check(self, host: Host, epoch: Epoch) -> None:
        """Ask whether the node lives; one that has no session in this reign then opens one."""
        ...

    def reset(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        """Press a guest's reset button; raises NoSuchVm or HypervisorFailed."""
        ...

    def start_vnc(
        self, host: Host, instance: InstanceId, attempt: Attempt, password: str, *, on_socket: bool
    ) -> ScreenPlace:
        """Show a guest's display; raises NoSuchVm or HypervisorFailed."""
        ...

    def stop_vnc(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        """Show a guest's display no more; raises NoSuchVm or HypervisorFailed."""
        ...

    def type_console(
        self, host: Host, instance: InstanceId, attempt: Attempt, typed: bytes
    ) -> None:
        """Type on a guest's serial console; raises NoSuchVm or HypervisorFailed."""
        ...

    def read_console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[bytes, int]:
        """What `console` says, to the byte."""
        ...

    def console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[str, int]:
        """What a guest's serial console said from `offset` on, and where to ask again."""
        ...
