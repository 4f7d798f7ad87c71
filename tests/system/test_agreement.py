"""tashi-admin checkDhcpDns against a real named and a real dhcpd, whose entries somebody spoilt."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dhcp_client import Lease
from site_servers import DOMAIN, NETWORK
from system.books import Place
from system.served_sites import ServedSite, served
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

GUESTS = ("web", "db", "mail", "news")
STRAY = SiteEntry(InstanceId(4712), "stray", f"{NETWORK}.2.10", "52:54:00:00:47:12")
LOST = SiteEntry(InstanceId(4711), "lost", f"{NETWORK}.2.9", "52:54:00:00:47:11")


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[ServedSite]:
    with served(short_path, books) as site:
        site.add_image("idle.qcow2")
        site.start()
        yield site


def create(site: ServedSite, *names: str, cards: tuple[NicForm, ...] = (NicForm(1),)) -> None:
    for name in names:
        wanted = NewInstanceForm(name, (DiskForm("idle.qcow2"),), memory=16, nics=cards)
        site.calls.call("createVm", InstanceForm, instance=wanted)
    site.until(
        lambda now: (
            all(one.state is S.RUNNING for one in now.instances)
            and len(now.instances) >= len(names)
        )
    )


def check(site: ServedSite, *words: str) -> tuple[int, set[tuple[str, str, str, bool]]]:
    """The exit code, and where what is how, and whether that was mended."""
    ended = site.run("admin", "checkDhcpDns", "--output", "json", *words)
    assert ended.returncode in {0, 1}, ended.stderr
    rows = json.loads(ended.stdout)
    found = {(one["where"], one["name"], one["flaw"], one["mended"]) for one in rows}
    assert len(found) == len(rows)
    return ended.returncode, found


def test_books_dns_and_dhcp_are_compared_and_mended_but_what_is_others_stays(
    site: ServedSite,
) -> None:
    create(site, *GUESTS)
    entries = {one.name: one for one in site.booked()}
    untouched = check(site)
    site.named.take_away(f"web.{DOMAIN}.", "A")
    site.addresses.remove(entries["db"])
    site.names.remove(entries["mail"])
    site.named.put(f"mail.{DOMAIN}.", "A", f"{NETWORK}.9.9")
    site.names.remove(entries["news"])
    site.names.enter(replace(entries["news"], ip=f"{NETWORK}.2.8"))
    site.names.enter(LOST)
    site.addresses.enter(LOST)
    site.addresses.enter(STRAY)

    found = check(site)
    mended = check(site, "--repair")
    after = check(site)

    taken = ("DNS", "mail", "taken", False)
    flaws = {
        ("DNS", "web", "wrong"),
        ("DHCP", "db", "missing"),
        ("DNS", "news", "wrong"),
        ("DNS", "news", "left over"),
        ("DNS", "lost", "left over"),
        ("DHCP", "lost", "left over"),
        ("DHCP", "stray", "left over"),
    }
    assert untouched == (0, set())
    assert found == (1, {(*one, False) for one in flaws} | {taken})
    assert mended == (1, {(*one, True) for one in flaws} | {taken})
    assert after == (1, {taken})
    assert site.named.ask(f"mail.{DOMAIN}", "A") == [f"{NETWORK}.9.9"]
    assert site.named.ask(f"web.{DOMAIN}", "A") == [entries["web"].ip]
    assert site.named.name_of(f"{NETWORK}.2.8") == []
    assert site.named.name_of(entries["news"].ip) == [f"news.{DOMAIN}."]
    assert site.lease(entries["db"].mac) == Lease(entries["db"].ip, "db")

    site.named.take_away(f"mail.{DOMAIN}.", "A")
    # What was not to be had is had once it is free, without anybody's help.
    site.until(lambda now: not any(one.trouble for one in now.instances), 120)
    assert check(site) == (0, set())


def test_a_card_on_a_network_of_ipv6_has_its_name_in_both_directions(site: ServedSite) -> None:
    site.run("admin", "addNetwork", "--id", "6", "--name", "six")
    create(site, "web", cards=(NicForm(1), NicForm(6)))
    four, six = site.booked()
    name = f"web-nic1.{DOMAIN}"

    there = site.named.ask(name, "AAAA"), site.named.name_of(six.ip)
    agree = check(site)
    site.named.take_away(f"{name}.", "AAAA")
    spoilt, mended = check(site), check(site, "--repair")
    site.run("client", "destroyVm", "--instance", "web", "--wait")
    site.until(lambda now: not now.instances)

    assert (four.name, six.name) == ("web", "web-nic1")
    assert there == (["2001:db8::10"], [f"{name}."])
    assert agree == (0, set())
    assert spoilt == (1, {("DNS", "web-nic1", "wrong", False)})
    assert mended == (0, {("DNS", "web-nic1", "wrong", True)})
    assert (site.named.ask(name, "AAAA"), site.named.name_of(six.ip)) == ([], [])


def test_a_server_that_is_away_is_said_to_be_and_nothing_is_taken_for_lost(
    site: ServedSite,
) -> None:
    create(site, "web")
    site.dhcpd.kill()

    ended = site.run("admin", "checkDhcpDns", "--repair")

    assert ended.returncode == 3
    assert ended.stderr.startswith("tashi-admin: DHCP server 127.0.0.1 port ")
    site.dhcpd.start()
    assert check(site) == (0, set())
