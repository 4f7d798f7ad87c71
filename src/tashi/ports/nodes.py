"""The node managers, as the cluster manager speaks to them."""

from collections.abc import Sequence
from typing import Protocol

from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, InstanceId
from tashi.domain.instructions import NodeOrder


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

    def live_check(self, host: Host, epoch: Epoch) -> None:
        """Ask whether the node lives; one that has no session in this reign then opens one."""
        ...

    def reset(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        """Press a guest's reset button; raises NoSuchVm or HypervisorFailed."""
        ...

    def console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[str, int]:
        """What a guest's serial console said from `offset` on, and where to ask again."""
        ...
