"""Pretended machines whose guests get names and addresses from a real named and a real dhcpd.

Both run on the switch's machine, beside the scheduler that tells them, in place of the DHCP server
that such machines have otherwise. The ranges are the set-up guide's own.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from site_servers import DOMAIN, OMAPI_PORT, Dhcpd, Named, SiteKey, Subnet
from system.guests import Guest, guests_in
from system.many_hosts import ManyHosts
from system.sites import Shape, write
from tashi.adapters.dhcp.omapi import Dhcpd as OmapiDhcpd
from tashi.adapters.dhcp.omapi import OmapiPlace
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry
from tashi.programs.demo.machines.lab import Machine

T = TypeVar("T")

SUBNETS: Final = (Subnet("vmbr.999", "172.16.0.1/22"), Subnet("vmbr.1001", "172.17.0.1/22"))
DNS_PORT: Final = 53
SERVER_SECONDS: Final = 20.0


class Switch:
    """The switch's machine, as servers run on it."""

    def __init__(self, machine: Machine) -> None:
        self.name = machine.namespace.name
        self._network = machine.namespace.network

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """What the function returns in there."""
        with self._network():
            return function(*arguments)


class ServedHosts(ManyHosts):
    """Hosts with a named and a dhcpd that know the key; scripts join guests to networks."""

    def __init__(self, folder: Path, hosts: int, key: SiteKey, *, old_pair: bool) -> None:
        hook = {"Primitive": {"hook1": "tashi.agents.DhcpDns"}}
        super().__init__(folder / "site", Shape(hosts=hosts, extra=hook))
        switch = Switch(self.lab.switch)
        self.named = Named(
            folder / "named", key, networks=("172.16", "172.17"),
            at=(self.address, DNS_PORT, switch),
        )  # fmt: skip
        self.dhcpd = Dhcpd(folder / "dhcpd", switch, key, SUBNETS)
        self._omapi = OmapiPlace(
            host=self.address, port=OMAPI_PORT, key_name=key.name, algorithm=key.algorithm,
            secret=key.secret, timeout_seconds=SERVER_SECONDS,
        )  # fmt: skip
        key_file = key.write_pair(folder) if old_pair else self.named.key_file
        write(
            self.configuration / "Agent.cfg",
            {
                "DhcpDns": {
                    "dnsServer": f"{self.address} {DNS_PORT}",
                    "dnsDomain": DOMAIN,
                    "dnsKeyFile": key_file,
                    "dhcpServer": "127.0.0.1",
                    "dhcpKeyName": key.name,
                    "dhcpKeyAlgorithm": key.algorithm,
                    "dhcpSecretKey": key.secret,
                    "serverTimeout": SERVER_SECONDS,
                    "ipRange999": "172.16.0.10-172.16.3.250",
                    "ipRange1001": "172.17.0.10-172.17.3.250",
                }
            },
        )

    def start(self) -> None:
        """Start everything, with these servers instead of the machines' own."""
        super().start()
        self.lab.switch.run("pkill", "--pidfile", f"{self.folder}/own/run/dnsmasq.pid")
        for one in SUBNETS:
            self.lab.switch.run("ip", "addr", "add", one.router, "dev", one.card)
        self.named.start()
        self.dhcpd.start()

    def end(self) -> list[str]:
        """Stop everything, the servers too; what should not have been there."""
        self.dhcpd.stop()
        self.named.stop()
        return super().end()

    def entries(self, name: str) -> list[SiteEntry]:
        """What is booked for an instance, card by card."""
        [one] = [one for one in self.now().instances if one.name == name]
        return [
            SiteEntry(InstanceId(one.id), listing.name, listing.ip, listing.mac)
            for listing in one.listings
        ]

    def guest(self, name: str) -> Guest:
        """The guest of an instance."""
        [entry, *_] = self.entries(name)
        [found] = [one for one in guests_in(self.folder) if one.instance == entry.owner]
        return found

    def in_dns(self, entries: Sequence[SiteEntry]) -> list[tuple[list[str], list[str]]]:
        """The addresses of each name, and the names of each address."""
        return [
            (self.named.ask(f"{one.name}.{DOMAIN}", "A"), self.named.name_of(one.ip))
            for one in entries
        ]

    def differ_in_dhcp(self, entries: Sequence[SiteEntry]) -> list[str | None]:
        """How dhcpd differs, entry by entry."""
        with closing(OmapiDhcpd(self._omapi)) as dhcpd:
            found = [dhcpd.difference(one) for one in entries]
        return [None if one is None else one.flaw.value for one in found]
