"""QEMU's own network: needs no root and no set-up, and reaches nobody but through its host.

The kernel chooses the ports of the host that lead to the guest while QEMU binds them, so there is
no moment in which another program could take one; afterwards QEMU is asked which they are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.ports.network import Cards, OwnNetwork, Wiring


@dataclass(frozen=True, slots=True)
class UserNetworks:
    """QEMU plays the router; `forward` are the guest ports that loopback ports lead to."""

    forward: tuple[int, ...] = ()

    def offered(self) -> tuple[NetworkId, ...] | None:
        """Any: they are all the same."""
        return None

    @contextmanager
    def wire(self, guest: InstanceId, cards: Cards) -> Iterator[Wiring]:  # noqa: ARG002  the port has it
        """Nothing to make ready."""
        yield dict.fromkeys(cards, OwnNetwork(self.forward))

    def allow(self, guest: InstanceId, number: int, nic: Nic) -> None:
        """Nobody else hears what it sends."""

    def adopt(self, guests: Mapping[InstanceId, Cards]) -> None:
        """Nothing outlives a QEMU."""

    def tidy(self) -> None:
        """Nothing is left."""
