"""How a guest's network cards reach their networks, made ready on this machine before QEMU starts.

A card is known by its place in the instance's list. It gets either a TAP, which leads to the
network of its number, or QEMU's own network. A TAP is not persistent: it is gone with the last
process that has it open, whoever dies how. Whatever else was made for guests (bridges, filters) is
found again by looking at the machine, never in memory, so a crash leaves nothing that the next
`adopt` or `tidy` does not remove. Methods may be called from several threads.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic

PLAIN_MTU: Final = 1500
"""The longest packet of an ordinary Ethernet, in bytes."""


@dataclass(frozen=True, slots=True)
class Tap:
    """An open TAP, for QEMU to inherit; packets of the network are at most `mtu` bytes long."""

    descriptor: int
    mtu: int = PLAIN_MTU


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """QEMU plays the router itself; `forward` are guest ports to offer on loopback ports."""

    forward: tuple[int, ...] = ()


Plug = Tap | OwnNetwork
"""What QEMU is to connect a card with."""

Cards = Mapping[int, Nic]
"""Network cards of one guest, by their numbers."""

Wiring = Mapping[int, Plug]
"""The plugs, by the cards' numbers."""


_PLUGGED_FROM: Final = 8
"""The first port's card has the number after this one: more cards no guest starts with."""


def card_number(port: int) -> int:
    """The number of the network card in that port."""
    return _PLUGGED_FROM + port


def card_numbers(ports: Iterable[int]) -> tuple[int, ...]:
    """The numbers of cards by their ports: those a guest starts with (port 0) in their order."""
    fixed = count()
    return tuple(card_number(port) if port else next(fixed) for port in ports)


def tap_name(guest: InstanceId, number: int) -> str:
    """What the TAP of that card is called on every host."""
    return f"tashi{guest}.{number}"


def named(guests: Mapping[InstanceId, Cards]) -> dict[str, Nic]:
    """All cards of these guests, by the names of their TAPs."""
    return {
        tap_name(guest, number): nic
        for guest, cards in guests.items()
        for number, nic in cards.items()
    }


class Networks(Protocol):
    """One way in which guests reach their networks."""

    def offered(self) -> tuple[NetworkId, ...] | None:
        """The networks that guests find on this machine, as of now; ``None`` when it is any."""
        ...

    def wire(self, guest: InstanceId, cards: Cards) -> AbstractContextManager[Wiring]:
        """Connect these cards for a QEMU that is started in the context.

        They lead to their networks by the end of it at the latest: a guest runs only afterwards.
        What has not been inherited by then is gone again. Raises HypervisorFailed, at the end, too;
        then nothing is left that was not there before.
        """
        ...

    def allow(self, guest: InstanceId, number: int, nic: Nic) -> None:
        """The card's address is known now or has changed: it may send as that and no other.

        Harmless when there is no such card. Raises HypervisorFailed.
        """
        ...

    def adopt(self, guests: Mapping[InstanceId, Cards]) -> None:
        """Only these guests live: take care of their cards, and remove what is of no use.

        For the start of a node manager, before it wires anything. Raises HypervisorFailed.
        """
        ...

    def tidy(self) -> None:
        """Remove what was made here and is of no use any more, now that a guest has ended.

        Raises HypervisorFailed.
        """
        ...
