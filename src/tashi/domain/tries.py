"""How often somebody may try to log in: a few failures at once, and then one now and again.

Counted by whatever a try is made with, a name or an address, whether or not there is such a name:
an answer shall not tell. Each has so many tries; one that is used up comes back after a while, and
all at once with a success. Only so many are remembered; who has been quiet for longest is forgotten
first. Belongs to one thread.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

MOST_REMEMBERED: Final = 10_000
_PREFIX_BITS: Final = 64


def counted_as(address: str) -> str:
    """By what somebody who comes from there is counted.

    Of IPv6 it is the network: whoever has one address there can have all of them (RFC 4291, 2.5.1).
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(IPv6Network((int(known), _PREFIX_BITS), strict=False))


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many tries, each of which is there again after so many seconds."""

    tries: int
    seconds: float


class Tries:
    """What is left of one allowance, for each of those who try."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """When all tries will be there again; who is not listed has all of them."""

    def wait_seconds(self, who: str, now: float) -> float:
        """How long to wait for a try, 0 for one that is there."""
        allowance = self._allowance
        owed = self._free_at.get(who, now) - now
        return max(0.0, owed - (allowance.tries - 1) * allowance.seconds)

    def use(self, who: str, now: float) -> None:
        """Use a try up."""
        free_at = max(self._free_at.pop(who, now), now) + self._allowance.seconds
        self._free_at[who] = free_at
        while len(self._free_at) > MOST_REMEMBERED:
            self._free_at.popitem(last=False)

    def give_back(self, who: str) -> None:
        """Give one try back, which has not failed."""
        if who in self._free_at:
            self._free_at[who] -= self._allowance.seconds

    def forgive(self, who: str) -> None:
        """Give all tries back."""
        self._free_at.pop(who, None)
