"""What guests say of their addresses on their networks, overheard on this machine.

A guest's card leads to its network through a device of the host. Whoever listens there sees which
addresses the guest uses, and which a DHCP server gives it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Overheard:
    """The card with that MAC, behind that device, has an address: it was given, or is announced.

    The device saw it itself: nobody but the guest behind it can announce anything, and nothing but
    what came to it from its network counts as given.
    """

    device: str
    mac: str
    ip: str
    given: bool


Hears = Callable[[Overheard], None]


class Frames(Protocol):
    """Ears on devices. Overhearing is a favour: what is missed is heard some other time."""

    def listen(self, hears: Hears) -> None:
        """Tell `hears` from now on, from any thread; a few times a second a device, at most."""
        ...

    def watch(self, device: str, mac: str) -> None:
        """Listen for that MAC at the device; in vain when there is none, or when we may not."""
        ...

    def forget(self, device: str) -> None:
        """Listen there no more; harmless when nobody did."""
        ...

    def close(self) -> None:
        """Listen nowhere any more, and tell nobody anything."""
        ...
