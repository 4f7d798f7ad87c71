"""A site with servers of its own: a real named, and a real dhcpd on a network in a namespace."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dhcp_client
from dhcp_client import Lease
from namespaces import Namespace
from relay import Relay
from site_servers import CARD, DOMAIN, NETWORK, OMAPI_PORT, SITE_KEY, Dhcpd, Named, a_network
from system.books import Place, in_a_file
from system.served_entries import entries_of
from system.sites import SIMULATED, Shape, Site, write
from tashi.adapters.dhcp.omapi import Dhcpd as OmapiDhcpd
from tashi.adapters.dhcp.omapi import OmapiPlace
from tashi.adapters.dns.rfc2136 import DnsSite, Rfc2136
from tashi.domain.listings import SiteEntry

RANGE: Final = f"{NETWORK}.0.10-{NETWORK}.3.250"
DNS_SECONDS: Final = 20.0
"""How long a server may take on a machine that is busy."""


class ServedSite(Site):
    """A site whose scheduler tells `named` and `dhcpd` of guests; `card` leads to the network."""

    def __init__(
        self,
        folder: Path,
        named: Named,
        dhcpd: Dhcpd,
        relay: Relay,
        client: Namespace,
        books: Place,
    ) -> None:
        hook = {"Primitive": {"hook1": "tashi.agents.DhcpDns"}}
        super().__init__(folder, Shape(vmm=SIMULATED, books=books, extra=hook))
        self.named, self.dhcpd, self._client = named, dhcpd, client
        write(self.configuration / "Agent.cfg", {"DhcpDns": _settings(named, relay, dhcpd)})
        place = DnsSite(
            host="127.0.0.1", port=named.port, domain=DOMAIN, expire_seconds=60, key=named.key,
            timeout_seconds=DNS_SECONDS,
        )  # fmt: skip
        self.names = Rfc2136(place)
        self.addresses = OmapiDhcpd(
            OmapiPlace(
                host="127.0.0.1", port=relay.port, key_name=SITE_KEY.name,
                algorithm=SITE_KEY.algorithm, secret=SITE_KEY.secret, timeout_seconds=DNS_SECONDS,
            )
        )  # fmt: skip

    def end(self) -> list[str]:
        """Stop what runs, and let go of the servers."""
        self.addresses.close()
        return super().end()

    def booked(self) -> list[SiteEntry]:
        """What is booked, of all instances that are in the books."""
        return [entry for one in self.now().instances for entry in entries_of(one)]

    def said(self, entries: Sequence[SiteEntry]) -> list[Lease]:
        """What DHCP clients with these cards are given, as far as they are given anything."""
        return [given for one in entries if (given := self.lease(one.mac)) is not None]

    said_now = said

    def lease(self, mac: str) -> Lease | None:
        """What a DHCP client with that card is given."""
        return dhcp_client.ask(self._client, CARD, mac)


@contextmanager
def served(folder: Path, books: Place = in_a_file) -> Iterator[ServedSite]:
    """A site with its servers, whose daemons are to be started."""
    with (
        a_network() as (where, client),
        Named(folder / "named") as named,
        Dhcpd(folder / "dhcpd", where) as dhcpd,
        Relay(where, OMAPI_PORT) as relay,
    ):
        site = ServedSite(folder / "site", named, dhcpd, relay, client, books)
        try:
            yield site
        finally:
            left = site.end()
        assert not left, left


def _settings(named: Named, relay: Relay, dhcpd: Dhcpd) -> Mapping[str, object]:
    return {
        "dnsServer": f"127.0.0.1 {named.port}",
        "dnsDomain": DOMAIN,
        "dnsKeyFile": named.key_file,
        "dhcpServer": f"127.0.0.1 {relay.port}",
        "dhcpKeyName": SITE_KEY.name,
        "dhcpKeyAlgorithm": SITE_KEY.algorithm,
        "dhcpSecretKey": SITE_KEY.secret,
        "dhcpLeasesFile": dhcpd.leases,
        "serverTimeout": DNS_SECONDS,
        "ipRange1": RANGE,
        "ipNetwork1": f"{NETWORK}.0.1/16",
        "ipRange6": "2001:db8::10-2001:db8::ffff",
    }
