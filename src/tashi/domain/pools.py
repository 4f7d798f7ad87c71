"""The free addresses of a network: a range, without those that guests must not have. Pure.

A pool keeps what is free as gaps, sorted. So it costs as much as there are gaps, not addresses: a
/64 of IPv6 is no dearer than ten addresses. Addresses are chosen in turn, so that one that was
given back rests for as long as possible; others still have it in their caches.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Final

_IPV4: Final = 4


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses from `first` to `last`, both included, of one IP version."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}-{self.last}"


class Pool:
    """The addresses of one span that nobody has, without those `kept_out`."""

    def __init__(self, span: Span, kept_out: Iterable[Span] = ()) -> None:
        self.span = span
        first, last = ip_address(span.first), ip_address(span.last)
        self._address: type[IPv4Address | IPv6Address] = type(first)
        self._first, self._last = int(first), int(last)
        self._starts = [self._first]
        self._ends = [self._last]
        self._next = self._first
        self._kept_out: list[tuple[int, int]] = []
        for one in kept_out:
            if isinstance(ip_address(one.first), self._address):
                out = int(ip_address(one.first)), int(ip_address(one.last))
                self._kept_out.append(out)
                self._cut(*out)

    @property
    def size(self) -> int:
        """How many addresses are free."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    def is_free(self, ip: str) -> bool:
        """Whether the address is in the pool."""
        number = self._number(ip)
        return number is not None and self._gap(number) is not None

    def why_not(self, ip: str) -> str:
        """Why no guest may have that address, whoever has it; empty when one may."""
        number = self._number(ip)
        if number is None or not self._first <= number <= self._last:
            return f"is not in the range {self.span}"
        if any(first <= number <= last for first, last in self._kept_out):
            return f"is kept out of the range {self.span}"
        return ""

    def choose(self) -> str | None:
        """The free address whose turn it is, which stays in the pool; ``None``: all are taken."""
        if not self._starts:
            return None
        gap = bisect_left(self._ends, self._next) % len(self._ends)
        number = max(self._starts[gap], self._next)
        return str(self._address(number if number <= self._ends[gap] else self._starts[gap]))

    def take(self, ip: str) -> None:
        """Take the address out of the pool. Harmless when it is not there."""
        number = self._number(ip)
        if number is not None and self._gap(number) is not None:
            self._cut(number, number)
            self._next = number + 1

    def give_back(self, ip: str) -> None:
        """Put the address into the pool again. Harmless when it does not belong or is there."""
        number = self._number(ip)
        if number is None or self.why_not(ip) or self._gap(number) is not None:
            return
        gap = bisect_left(self._starts, number)
        joins_before = gap > 0 and self._ends[gap - 1] == number - 1
        joins_after = gap < len(self._starts) and self._starts[gap] == number + 1
        if joins_before and joins_after:
            self._ends[gap - 1 : gap + 1] = [self._ends[gap]]
            del self._starts[gap]
        elif joins_before:
            self._ends[gap - 1] = number
        elif joins_after:
            self._starts[gap] = number
        else:
            self._starts.insert(gap, number)
            self._ends.insert(gap, number)

    def _number(self, ip: str) -> int | None:
        address = ip_address(ip)
        return int(address) if isinstance(address, self._address) else None

    def _gap(self, number: int) -> int | None:
        gap = bisect_right(self._starts, number) - 1
        return gap if gap >= 0 and number <= self._ends[gap] else None

    def _cut(self, first: int, last: int) -> None:
        """Let nothing from the first to the last number be free."""
        begin, end = bisect_left(self._ends, first), bisect_right(self._starts, last)
        left = [(self._starts[n], self._ends[n]) for n in range(begin, end)]
        rest = [
            piece
            for start, stop in left
            for piece in ((start, min(stop, first - 1)), (max(start, last + 1), stop))
            if piece[0] <= piece[1]
        ]
        self._starts[begin:end] = [start for start, _ in rest]
        self._ends[begin:end] = [stop for _, stop in rest]


def kept_out_of(gateway: str) -> tuple[Span, ...]:
    """What no guest may have on a network that is given as ``gateway/prefix``.

    The gateway's own address, and what means the network and everybody on it.
    """
    interface = ip_interface(gateway)
    network = interface.network
    ends = (network.network_address, network.broadcast_address)
    whole = network.prefixlen >= network.max_prefixlen - 1  # RFC 3021, RFC 6164: no such ends
    special = () if whole else ends if interface.version == _IPV4 else ends[:1]
    return tuple(Span(str(one), str(one)) for one in dict.fromkeys((interface.ip, *special)))
