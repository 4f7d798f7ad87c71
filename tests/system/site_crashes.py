"""Kill named, dhcpd and Tashi's daemons while guests come and go; hold all against all in the end.

    PYTHONPATH=src:tests .venv/bin/python -m system.site_crashes --rounds 60 --alive 50 [--seed N]

Clients create and destroy simulated instances all the while (`clients`). A round kills one of
named, dhcpd, the scheduler and the cluster manager at any moment, or all of them, and starts it
again a while later. In between a DHCP client takes the card of some guest, which must be given the
address and the name that are booked, or nothing.

In the end so many are alive, and for each of them the books, DNS in both directions, OMAPI and a
DHCP client of its own must say the same, and nobody anything else: the zones and dhcpd's file have
not one entry more. When all are destroyed, none is left.

`real_names.py` does the same with real guests, which are their own DHCP clients.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Protocol

from dhcp_client import Lease
from system.clients import Wish
from system.ordeals import CLIENTS, Report, blows_for, load
from system.served_entries import Row, asked, entries_of, in_dhcpd, in_dns, in_reverse, unlike
from system.served_hosts import ServedHosts
from system.served_sites import ServedSite, served
from tashi.domain.instance import ListingStage
from tashi.domain.listings import SiteEntry
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import InstanceForm, NicForm, SnapshotForm

BLOWS: Final = ("named", "dhcpd", "scheduler", "clustermanager", "everything")
EMPTY: Final = "empty.qcow2"
SMALL: Final = Wish(image=EMPTY, cards=((NicForm(1),),))
AWAY_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 240.0
"""What a server was away for is tried again after up to a minute."""
BOOT_SECONDS: Final = 240.0
_GLANCE_SECONDS: Final = 0.1

Served = ServedSite | ServedHosts


@dataclass(frozen=True, slots=True)
class Pace:
    """How long at most there is work between two blows, and how many are asked then."""

    work_seconds: float
    asked: int


QUICK: Final = Pace(work_seconds=1.5, asked=1)


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

    def __init__(
        self, site: Served, draws: random.Random, wish: Wish = SMALL, pace: Pace = QUICK
    ) -> None:
        """Instances are as wished for, but for how many of them there are at once."""
        self.site = site
        self.report = SiteReport()
        self._draws = draws
        self._wish = wish
        self._pace = pace
        self._mortals: dict[str, Mortal] = {
            "named": site.named,
            "dhcpd": site.dhcpd,
            "scheduler": site.scheduler,
            "clustermanager": site.manager,
        }

    def go_through(self, blows: Sequence[str], alive: int) -> SiteReport:
        """Let these blows fall; then hold everything against the books, with so many alive."""
        wish = replace(self._wish, most=max(1, 2 * alive // CLIENTS))
        with load(self.site, self._draws, wish, self.report):
            for blow in blows:
                self._strike(blow)
                sleep(self._draws.uniform(0.0, self._pace.work_seconds))
                self._ask_some()
        told = self.report.told
        wanted = told.created.keys() - told.destroyed
        wanted |= {self._create(number) for number in range(alive - len(wanted))}
        self._reckon(wanted)
        for key in wanted:
            self.site.calls.call("destroyVm", InstanceForm, instance_id=key)
        self._reckon(set())
        if self.report.broken:
            self.report.story = self.site.story()
        return self.report

    def _create(self, number: int) -> int:
        wanted = self._wish.form(f"late-{number}", number)
        return self.site.calls.call("createVm", InstanceForm, instance=wanted).id

    def _strike(self, blow: str) -> None:
        self.report.blows[blow] += 1
        struck = [*self._mortals.values()] if blow == "everything" else [self._mortals[blow]]
        for one in struck:
            one.kill()
        for one in self._draws.sample(struck, len(struck)):
            sleep(self._draws.uniform(0.0, AWAY_SECONDS))
            one.start()

    def _ask_some(self) -> None:
        """Hear what some instances' cards were given: what is booked, or nothing."""
        # The cluster manager may only just be starting again.
        booked = _booked(self.site.until(lambda _: True, SETTLE_SECONDS))
        for key in self._draws.sample(sorted(booked), min(self._pace.asked, len(booked))):
            said = self.site.said(booked[key])
            self.report.leases += len(said)
            if not _fits(said, booked[key]):
                self.report.broken.append(f"For {booked[key]} was given {said}.")

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
        booked = _booked(now)
        entries = [entry for each in booked.values() for entry in each]
        ips = Counter(one.ip for one in entries)
        hosts: set[Row] = {(one.name, one.ip, one.mac) for one in entries}
        back: set[Row] = {(one.ip, f"{one.name}.{self.site.named.domain}.") for one in entries}
        self.report.broken += [
            *(f"{ip} is booked {times} times." for ip, times in ips.items() if times > 1),
            *unlike("DNS", in_dns(self.site.named), hosts),
            *unlike("The reverse zone", in_reverse(self.site.named), back),
            *unlike("dhcpd's file", in_dhcpd(self.site.dhcpd.leases), hosts),
            *self._what_is_asked(entries),
            *(words for each in booked.values() for words in self._what_the_guest_says(each)),
            *self._what_the_command_says(),
        ]

    def _what_is_asked(self, entries: Sequence[SiteEntry]) -> Iterator[str]:
        named = self.site.named
        for one, found in zip(entries, asked(named, entries), strict=True):
            if found != ([one.ip], [f"{one.name}.{named.domain}."]):
                yield f"DNS answers {found} about {one}."
            if (difference := self.site.addresses.difference(one)) is not None:
                yield f"OMAPI: {difference.words}."

    def _what_the_guest_says(self, entries: Sequence[SiteEntry]) -> Iterator[str]:
        booked, deadline = [one.ip for one in entries], monotonic() + BOOT_SECONDS
        said: list[Lease] = []
        while not {*booked} <= {one.ip for one in said} and monotonic() < deadline:
            sleep(_GLANCE_SECONDS)
            said = self.site.said(entries)
        now = self.site.said_now(entries)
        self.report.leases += len(said) + len(now)
        if not _fits(said, entries):
            yield f"For {entries} was given {said}."
        if not _fits(now, entries) or [one.ip for one in now] != booked:
            yield f"The cards of {entries} have {now}."

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
        and [listing.stage for listing in one.listings] == [ListingStage.LISTED] * len(one.nics)
    }
    return listed == wanted == {one.id for one in now.instances}


def _booked(now: SnapshotForm) -> dict[int, list[SiteEntry]]:
    return {one.id: entries_of(one) for one in now.instances if one.listings}


def _fits(said: Sequence[Lease], entries: Sequence[SiteEntry]) -> bool:
    """Whether it is booked; a guest of several cards has the name of any of them."""
    addresses, names = {one.ip for one in entries}, {one.name for one in entries}
    return all(one.ip in addresses and one.host_name in names for one in said)


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
