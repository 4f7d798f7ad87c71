"""A site's DNS and DHCP in memory, which can be away."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import ClassVar

from tashi.domain.admission import check_mac
from tashi.domain.differences import DHCP, DNS, Difference, Flaw
from tashi.domain.errors import AddressTaken, DnsFailed, ServerAway
from tashi.domain.hostnames import check_host_name
from tashi.domain.listings import SiteEntry


@dataclass(slots=True)
class _FakeServer:
    """Entries by name; `others` are the names and addresses that somebody else has there.

    Names that are `refused` are not taken in.
    """

    where: ClassVar[str]
    known: dict[str, SiteEntry] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    is_away: bool = False
    lists: bool = True

    def enter(self, entry: SiteEntry) -> None:
        self._check(entry)
        holders = [one for one in self.known.values() if _meet(one, entry)]
        strange = [one for one in holders if (one.owner, one.mac) != (entry.owner, entry.mac)]
        if strange or self.others & {entry.name, entry.ip, entry.mac}:
            raise AddressTaken(f"{entry} is somebody else's.")
        self.known[entry.name] = entry

    def remove(self, entry: SiteEntry) -> None:
        self._check(entry)
        if self.known.get(entry.name) == entry:
            del self.known[entry.name]

    def difference(self, entry: SiteEntry) -> Difference | None:
        self._check(entry)
        met = [one for one in self.known.values() if _meet(one, entry)]
        same = [one for one in met if replace(one, ip=entry.ip) == entry]
        if met == [entry]:
            return None
        others = met != same or bool(self.others & {entry.name, entry.ip, entry.mac})
        flaw = Flaw.TAKEN if others else Flaw.WRONG if same else Flaw.MISSING
        return Difference(self.where, entry, flaw, f"{self.where} has {met}, not {entry}")

    def entries(self) -> Sequence[SiteEntry] | None:
        self._check_there()
        return list(self.known.values()) if self.lists else None

    def _check(self, entry: SiteEntry) -> None:
        check_host_name(entry.name)
        check_mac(entry.mac)
        ip_address(entry.ip)
        self._check_there()
        if entry.name in self.refused:
            raise DnsFailed(f"{self.where} does not take {entry.name}.")

    def _check_there(self) -> None:
        if self.is_away:
            raise ServerAway(f"{self.where} is away.")


class FakeNames(_FakeServer):
    """A name server."""

    where = DNS


class FakeAddresses(_FakeServer):
    """A server that gives addresses."""

    where = DHCP

    def serves(self, ip: str) -> bool:
        del ip
        return True


def _meet(one: SiteEntry, other: SiteEntry) -> bool:
    return one.name == other.name or one.ip == other.ip or one.mac == other.mac
