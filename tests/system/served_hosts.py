"""Pretended machines whose guests get names and addresses from a real named and a real dhcpd.

Both run on the switch's machine, beside the scheduler that tells them, in place of the DHCP server
that such machines have otherwise. The ranges are the set-up guide's own.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from dhcp_client import Lease
from site_servers import DOMAIN, OMAPI_PORT, Dhcpd, Named, SiteKey, Subnet
from system.guests import Guest, guests_in
from system.many_hosts import ManyHosts
from system.sites import Shape, write
from tashi.adapters.dhcp.omapi import Dhcpd as OmapiDhcpd
from tashi.adapters.dhcp.omapi import OmapiPlace
from tashi.domain.listings import SiteEntry
from tashi.programs.demo.machines.lab import Machine

T = TypeVar("T")

SUBNETS: Final = (Subnet("vmbr.999", "172.16.0.1/22"), Subnet("vmbr.1001", "172.17.0.1/22"))
DNS_PORT: Final = 53
SERVER_SECONDS: Final = 20.0
_SAID: Final = re.compile(r"GUEST-(?:READY|ADDRESS) host=(\S+) address=([0-9.]+)")
_ASKING: Final = (
    "for card in /sys/class/net/eth*; do"
    " echo card $(cat $card/address) $(ip -o -4 addr show dev ${card##*/}); done;"
    " echo host $(hostname)"
)
_CARD: Final = re.compile(r"^card ([0-9a-f:]{17})(.*)$", re.MULTILINE)
_INET: Final = re.compile(r" inet ([0-9.]+)/")
_HOST: Final = re.compile(r"^host (\S+)$", re.MULTILINE)


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
        self.addresses = OmapiDhcpd(
            OmapiPlace(
                host=self.address, port=OMAPI_PORT, key_name=key.name, algorithm=key.algorithm,
                secret=key.secret, timeout_seconds=SERVER_SECONDS,
            )
        )  # fmt: skip
        key_file = key.write_pair(folder) if old_pair else self.named.key_file
        write(
            self.configuration / "Agent.cfg",
            {
                "DhcpDns": {
                    "dnsServer": f"{self.address} {DNS_PORT}",
                    "dnsDomain": DOMAIN,
                    "dnsKeyFile": key_file,
                    "dhcpServer": f"{self.address} {OMAPI_PORT}",
                    "dhcpKeyName": key.name,
                    "dhcpKeyAlgorithm": key.algorithm,
                    "dhcpSecretKey": key.secret,
                    "dhcpLeasesFile": self.dhcpd.leases,
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
        self.addresses.close()
        self.dhcpd.stop()
        self.named.stop()
        return super().end()

    def said(self, entries: Sequence[SiteEntry]) -> list[Lease]:
        """What an instance's guest has said on its console that its cards were given."""
        with suppress(OSError):  # it may have ended meanwhile, with all that it said
            for guest in self._guests(entries):
                return [Lease(ip, host) for host, ip in _SAID.findall(guest.console())]
        return []

    def said_now(self, entries: Sequence[SiteEntry]) -> list[Lease]:
        """What an instance's guest answers to who asks for its cards' addresses and its name."""
        answer = "".join(guest.carry_out(_ASKING) for guest in self._guests(entries))
        host = "".join(_HOST.findall(answer))
        cards = {mac: _INET.findall(words) for mac, words in _CARD.findall(answer)}
        order = dict.fromkeys([*(one.mac for one in entries), *cards])
        return [Lease(ip, host) for mac in order for ip in cards.get(mac, ())]

    def _guests(self, entries: Sequence[SiteEntry]) -> list[Guest]:
        owners = {one.owner for one in entries}
        return [one for one in guests_in(self.folder) if one.instance in owners]
