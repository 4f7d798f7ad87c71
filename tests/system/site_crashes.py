"""Kill named, dhcpd and Tashi's daemons while guests come and go; hold all against all in the end.

    PYTHONPATH=src:tests .venv/bin/python -m system.site_crashes --rounds 60 --alive 50 [--seed N]

Clients create and destroy simulated instances all the while (`clients`). A round kills one of
named, dhcpd, the scheduler and the cluster manager at any moment, or all of them, and starts it
again a while later. In between a DHCP client takes the card of some guest, which must be given the
address and the name that are booked, or nothing.

In the end so many are alive, and for each of them the books, DNS in both directions, OMAPI and a
DHCP client of its own must say the same, and nobody anything else: the zones and dhcpd's file have
not one entry more. When all are destroyed, none is left.
"""

import argparse
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Final, Protocol

import dns.name
import dns.node
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.xfr
import dns.zone

from dhcp_client import Lease
from site_servers import DOMAIN, NETWORK, Named
from system.clients import MEMORY_MIB
from system.ordeals import CLIENTS, Report, blows_for, load
from system.served_sites import ServedSite, served
from tashi.domain.identity import InstanceId
from tashi.domain.instance import ListingStage
from tashi.domain.listings import SiteEntry
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm, SnapshotForm

BLOWS: Final = ("named", "dhcpd", "scheduler", "clustermanager", "everything")
EMPTY: Final = "empty.qcow2"
CARDS: Final = (NicForm(1),)
WORK_SECONDS: Final = 1.5
AWAY_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 240.0
"""What a server was away for is tried again after up to a minute."""
REVERSE: Final = f"{'.'.join(reversed(NETWORK.split('.')))}.in-addr.arpa"
_HOST: Final = re.compile(r"^host (\S+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MAC: Final = re.compile(r"hardware ethernet ([0-9a-f:]{17});")
_MARKED: Final = re.compile(r"mac=([0-9a-f:]{17})")
_ADDRESS: Final = re.compile(r"fixed-address ([0-9.]+);")


Row = tuple[str, ...]
"""A name, an address and a card, or an address and a name."""


class Mortal(Protocol):
    """What can be killed and started again."""

    def kill(self) -> None:
        """Let it die at once."""
        ...

    def start(self) -> None:
        """Start it anew."""
        ...


@dataclass(slots=True)
class SiteReport(Report):
    """What happened."""

    blows: Counter[str] = field(default_factory=Counter)
    leases: int = 0
    alive: int = 0

    def __str__(self) -> str:
        blows = ", ".join(f"{name} {times}" for name, times in sorted(self.blows.items()))
        lines = [
            f"killed: {blows}",
            f"leases looked at: {self.leases}",
            f"alive in the end: {self.alive}",
        ]
        return self.words(lines, "All agree.")


class SiteOrdeal:
    """A site under load, the blows that fall, and the reckoning at the end."""

    def __init__(self, site: ServedSite, draws: random.Random) -> None:
        self.site = site
        self.report = SiteReport()
        self._draws = draws
        self._mortals: dict[str, Mortal] = {
            "named": site.named,
            "dhcpd": site.dhcpd,
            "scheduler": site.scheduler,
            "clustermanager": site.manager,
        }

    def go_through(self, blows: Sequence[str], alive: int) -> SiteReport:
        """Let these blows fall; then hold everything against the books, with so many alive."""
        most = 2 * alive // CLIENTS
        with load(self.site, self._draws, EMPTY, self.report, CARDS, most):
            for blow in blows:
                self._strike(blow)
                sleep(self._draws.uniform(0.0, WORK_SECONDS))
                self._ask_for_somebody()
        told = self.report.told
        wanted = told.created.keys() - told.destroyed
        wanted |= {self._create(f"late-{number}") for number in range(alive - len(wanted))}
        self._reckon(wanted)
        for key in wanted:
            self.site.calls.call("destroyVm", InstanceForm, instance_id=key)
        self._reckon(set())
        if self.report.broken:
            self.report.story = self.site.story()
        return self.report

    def _create(self, name: str) -> int:
        wanted = NewInstanceForm(name, (DiskForm(EMPTY),), memory=MEMORY_MIB, nics=CARDS)
        return self.site.calls.call("createVm", InstanceForm, instance=wanted).id

    def _strike(self, blow: str) -> None:
        self.report.blows[blow] += 1
        struck = [*self._mortals.values()] if blow == "everything" else [self._mortals[blow]]
        for one in struck:
            one.kill()
        for one in self._draws.sample(struck, len(struck)):
            sleep(self._draws.uniform(0.0, AWAY_SECONDS))
            one.start()

    def _ask_for_somebody(self) -> None:
        """Let a DHCP client have the card of a guest: it is given what is booked, or nothing."""
        # The cluster manager may only just be starting again.
        entries = _booked(self.site.until(lambda _: True, SETTLE_SECONDS))
        if not entries:
            return
        one = self._draws.choice(sorted(entries, key=str))
        lease = self.site.lease(one.mac)
        self.report.leases += 1
        if lease not in {None, Lease(one.ip, one.name)}:
            self.report.broken.append(f"{one} was given {lease}.")

    # ---- the reckoning --------------------------------------------------------------------------

    def _reckon(self, wanted: set[int]) -> None:
        try:
            now = self.site.until(lambda now: _is_done(now, wanted), SETTLE_SECONDS)
        except AssertionError:
            now = self.site.now()
            self.report.broken += [
                f"Instance {one.id} ({one.name}) is {one.state.title} with {one.listings}, "
                f"{'wanted' if one.id in wanted else 'not wanted'}: {one.trouble}"
                for one in now.instances
            ]
        self.report.alive = max(self.report.alive, len(wanted))
        entries = _booked(now)
        hosts: set[Row] = {(one.name, one.ip, one.mac) for one in entries}
        back: set[Row] = {(one.ip, f"{one.name}.{DOMAIN}.") for one in entries}
        self.report.broken += [
            *(f"{one.ip} is booked twice." for one in entries if _times(entries, one.ip) > 1),
            *_unlike("DNS", _in_dns(self.site.named), hosts),
            *_unlike("The reverse zone", _in_reverse(self.site.named), back),
            *_unlike("dhcpd's file", _in_dhcpd(self.site.dhcpd.leases), hosts),
            *self._without_the_right_lease(entries),
            *self._what_the_command_says(),
        ]

    def _without_the_right_lease(self, entries: set[SiteEntry]) -> Iterator[str]:
        for one in entries:
            lease = self.site.lease(one.mac)
            self.report.leases += 1
            if lease != Lease(one.ip, one.name):
                yield f"{one} is given {lease}."
            if (difference := self.site.addresses.difference(one)) is not None:
                yield f"OMAPI: {difference.words}."

    def _what_the_command_says(self) -> Iterator[str]:
        ended = self.site.run("admin", "checkDhcpDns")
        if ended.returncode != 0:
            yield f"checkDhcpDns ended with {ended.returncode}: {ended.stdout}{ended.stderr}"


def _is_done(now: SnapshotForm, wanted: set[int]) -> bool:
    """Whether those that are wanted run with what is listed for them, and nothing else is there."""
    listed = {
        one.id
        for one in now.instances
        if one.state is S.RUNNING
        and [listing.stage for listing in one.listings] == [ListingStage.LISTED]
    }
    return listed == wanted == {one.id for one in now.instances}


def _booked(now: SnapshotForm) -> set[SiteEntry]:
    return {
        SiteEntry(InstanceId(one.id), listing.name, listing.ip, listing.mac)
        for one in now.instances
        for listing in one.listings
    }


def _times(entries: set[SiteEntry], ip: str) -> int:
    return sum(one.ip == ip for one in entries)


def _unlike(where: str, found: set[Row], booked: set[Row]) -> list[str]:
    return [
        *(f"{where} has {one}, which is not booked." for one in found - booked),
        *(f"{where} lacks {one}." for one in booked - found),
    ]


# ---- what the servers have, read without any of Tashi -------------------------------------------


def _in_dns(named: Named) -> set[Row]:
    """Each name with its addresses and the card in its mark."""
    return {
        (name, *_texts(node, "A"), *_MARKED.findall(" ".join(_texts(node, "TXT"))))
        for name, node in _zone(named, DOMAIN)
        if name not in {"@", "ns"}
    }


def _in_reverse(named: Named) -> set[Row]:
    """Each address with the names that it leads to."""
    return {
        (f"{NETWORK}.{'.'.join(reversed(name.split('.')))}", *_texts(node, "PTR"))
        for name, node in _zone(named, REVERSE)
        if name != "@"
    }


def _zone(named: Named, zone: str) -> Iterator[tuple[str, dns.node.Node]]:
    found = dns.zone.Zone(zone)
    query, _ = dns.xfr.make_query(found, keyring=named.key.for_signing())
    dns.query.inbound_xfr("127.0.0.1", found, query, port=named.port)
    return ((str(name), node) for name, node in found.nodes.items())


def _texts(node: dns.node.Node, kind: str) -> list[str]:
    found = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.from_text(kind))
    return [one.to_text(origin=dns.name.root, relativize=False) for one in found or ()]


def _in_dhcpd(leases: Path) -> set[Row]:
    """The hosts in dhcpd's file: what comes later goes before what came earlier."""
    found: dict[str, Row] = {}
    for name, words in _HOST.findall(leases.read_text()):
        found.pop(name, None)
        if "deleted;" not in words:
            found[name] = (name, *_ADDRESS.findall(words), *_MAC.findall(words))
    return set(found.values())


def main(words: Sequence[str] | None = None) -> int:
    """Run the ordeal by hand and print its report; the exit code says whether all agreed."""
    parser = argparse.ArgumentParser(description="Kill the site's servers and look who disagrees.")
    parser.add_argument("--rounds", type=int, default=60, help="how many blows (60)")
    parser.add_argument("--alive", type=int, default=50, help="how many guests in the end (50)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice")
    asked = parser.parse_args(words)
    draws = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="tashi-") as folder, served(Path(folder)) as site:
        site.add_image(EMPTY)
        site.start()
        report = SiteOrdeal(site, draws).go_through(
            blows_for(asked.rounds, draws, BLOWS), asked.alive
        )
    sys.stdout.write(f"{report.story}\nseed {asked.seed}\n{report}\n")
    return bool(report.broken)


if __name__ == "__main__":
    sys.exit(main())
