"""What every name service promises: both directions, nothing of others touched, words when away."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fakes.site import FakeNames
from site_servers import DOMAIN, NETWORK, Named, SiteKey
from tashi.adapters.dns.rfc2136 import DnsSite, Rfc2136
from tashi.domain.differences import Flaw
from tashi.domain.errors import AddressTaken, Refused, ServerAway
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry
from tashi.ports.dns import NameService

REAL = [pytest.mark.system, pytest.mark.timeout(180)]

WEB = SiteEntry(InstanceId(7), "web", f"{NETWORK}.0.7", "52:54:00:00:00:07")
BELOW = SiteEntry(InstanceId(8), "web-nic1.lab", f"{NETWORK}.3.8", "52:54:00:00:00:08")
SIX = SiteEntry(InstanceId(9), "six", "2001:db8::9", "52:54:00:00:00:09")


@dataclass(frozen=True, slots=True)
class Site:
    """A name service, what others see of it, and how it is changed behind its back."""

    names: NameService
    look_up: Callable[[str], list[str]]
    name_of: Callable[[str], list[str]]
    give_away: Callable[[str, str], None]
    add_text: Callable[[str], None]
    go_away: Callable[[], None]


def in_memory(_: Path) -> Iterator[Site]:
    names = FakeNames()

    def go_away() -> None:
        names.is_away = True

    yield Site(
        names,
        lambda name: [one.ip for one in names.known.values() if one.name == name],
        lambda ip: [one.name for one in names.known.values() if one.ip == ip],
        lambda name, ip: names.others.update((name, ip)),
        lambda name: None,
        go_away,
    )


def rfc2136(algorithm: str) -> Callable[[Path], Iterator[Site]]:
    def made(folder: Path) -> Iterator[Site]:
        with Named(folder / "named", SiteKey(algorithm=algorithm)) as named:
            place = DnsSite(
                host="127.0.0.1", port=named.port, domain=DOMAIN, expire_seconds=60, key=named.key,
                timeout_seconds=20.0,
            )  # fmt: skip

            def give_away(name: str, ip: str) -> None:
                named.put(f"{name}.{DOMAIN}.", "A", ip)
                reverse = ".".join(reversed(ip.split(".")))
                named.put(f"{reverse}.in-addr.arpa.", "PTR", f"{name}.{DOMAIN}.")

            yield Site(
                Rfc2136(place),
                lambda name: (
                    named.ask(f"{name}.{DOMAIN}", "A") + named.ask(f"{name}.{DOMAIN}", "AAAA")
                ),
                lambda ip: [one.removesuffix(f".{DOMAIN}.") for one in named.name_of(ip)],
                give_away,
                lambda name: named.put(f"{name}.{DOMAIN}.", "TXT", '"v=spf1" "-all"'),
                named.kill,
            )

    return made


@pytest.fixture(
    params=[
        pytest.param(in_memory, id="memory"),
        pytest.param(rfc2136("hmac-sha256"), id="named-sha256", marks=REAL),
        pytest.param(rfc2136("hmac-md5"), id="named-md5", marks=REAL),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    yield from request.param(tmp_path)


def flaw_of(site: Site, entry: SiteEntry) -> Flaw | None:
    found = site.names.difference(entry)
    return None if found is None else found.flaw


@pytest.mark.parametrize("entry", [WEB, BELOW, SIX], ids=lambda one: one.name)
def test_a_name_leads_to_the_address_and_back_until_it_is_removed(
    site: Site, entry: SiteEntry
) -> None:
    site.names.enter(entry)
    there = site.look_up(entry.name), site.name_of(entry.ip), site.names.difference(entry)
    site.names.remove(entry)

    assert there == ([entry.ip], [entry.name], None)
    assert (site.look_up(entry.name), site.name_of(entry.ip)) == ([], [])
    assert flaw_of(site, entry) is Flaw.MISSING


def test_what_is_done_twice_is_done_once(site: Site) -> None:
    site.names.enter(WEB)
    site.names.enter(WEB)
    entered = site.look_up("web")
    site.names.remove(WEB)
    site.names.remove(WEB)

    assert entered == [WEB.ip]
    assert site.look_up("web") == []


def test_a_name_or_an_address_of_somebody_else_is_not_touched(site: Site) -> None:
    site.give_away("web", f"{NETWORK}.0.99")

    for wish in (WEB, replace(WEB, name="other", ip=f"{NETWORK}.0.99")):
        with pytest.raises(AddressTaken):
            site.names.enter(wish)
        site.names.remove(wish)

    with pytest.raises(AddressTaken):
        site.names.enter(WEB)
    assert flaw_of(site, WEB) is Flaw.TAKEN


def test_what_has_another_address_than_its_owner_is_to_have_is_wrong(site: Site) -> None:
    site.names.enter(WEB)
    moved = replace(WEB, ip=f"{NETWORK}.0.70")

    before = flaw_of(site, moved)
    site.names.remove(WEB)
    site.names.enter(moved)

    assert before is Flaw.WRONG
    assert (flaw_of(site, moved), site.name_of(WEB.ip)) == (None, [])


def test_a_text_that_somebody_adds_to_a_name_is_in_nobodys_way(site: Site) -> None:
    site.names.enter(WEB)
    site.add_text("web")
    moved = replace(WEB, ip=f"{NETWORK}.0.70")

    before = site.names.difference(WEB)
    site.names.enter(moved)
    there = site.look_up("web")
    site.names.remove(moved)

    assert (before, there) == (None, [moved.ip])
    assert (site.look_up("web"), site.name_of(moved.ip)) == ([], [])


def test_the_name_of_another_instance_is_not_touched(site: Site) -> None:
    site.names.enter(WEB)
    wish = replace(WEB, owner=InstanceId(70), ip=f"{NETWORK}.0.70", mac="52:54:00:00:00:70")

    with pytest.raises(AddressTaken):
        site.names.enter(wish)
    site.names.remove(wish)

    assert site.names.difference(WEB) is None
    assert flaw_of(site, wish) is Flaw.TAKEN


def test_many_are_told_of_at_once(site: Site) -> None:
    entries = [
        SiteEntry(InstanceId(n), f"vm{n}", f"{NETWORK}.1.{n}", f"52:54:00:00:01:{n:02x}")
        for n in range(1, 33)
    ]

    def come_and_go(entry: SiteEntry) -> None:
        site.names.enter(entry)
        if entry.owner % 2:
            site.names.remove(entry)

    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(come_and_go, entries))

    flaws = [flaw_of(site, one) for one in entries]
    assert flaws == [Flaw.MISSING, None] * 16


def test_everything_that_was_entered_is_listed(site: Site) -> None:
    for entry in (WEB, BELOW, SIX):
        site.names.enter(entry)

    assert sorted(site.names.entries() or (), key=lambda one: one.owner) == [WEB, BELOW, SIX]


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("algorithm", ["hmac-sha1", "hmac-sha224", "hmac-sha384", "hmac-sha512"])
def test_a_server_believes_keys_of_the_other_algorithms_too(tmp_path: Path, algorithm: str) -> None:
    with Named(tmp_path / "named", SiteKey(algorithm=algorithm)) as named:
        place = DnsSite(
            host="127.0.0.1", port=named.port, domain=DOMAIN, expire_seconds=60, key=named.key,
            timeout_seconds=20.0,
        )  # fmt: skip

        Rfc2136(place).enter(WEB)

        assert named.ask(f"web.{DOMAIN}", "A") == [WEB.ip]


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_mark_that_somebody_set_where_no_guest_can_be_is_nobodys(tmp_path: Path) -> None:
    with Named(tmp_path / "named") as named:
        named.put(f"4711.{DOMAIN}.", "TXT", '"tashi instance=7 mac=52:54:00:00:00:07"')
        named.put(f"4711.{DOMAIN}.", "A", WEB.ip)
        place = DnsSite(
            host="127.0.0.1", port=named.port, domain=DOMAIN, expire_seconds=60, key=named.key
        )

        assert Rfc2136(place).entries() == []


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_server_that_lets_no_zone_be_transferred_lists_nothing(tmp_path: Path) -> None:
    with Named(tmp_path / "named", transfers="none;") as named:
        place = DnsSite(
            host="127.0.0.1", port=named.port, domain=DOMAIN, expire_seconds=60, key=named.key
        )

        assert Rfc2136(place).entries() is None


@pytest.mark.parametrize("name", ["a b", "web.", "-web", 'x"; option routers 6.6.6.6; #', "ü", ""])
def test_a_name_that_is_none_is_not_sent(site: Site, name: str) -> None:
    with pytest.raises(Refused):
        site.names.enter(replace(WEB, name=name))


def test_a_server_that_is_away_is_said_to_be(site: Site) -> None:
    site.names.enter(WEB)
    site.go_away()

    for ask in (site.names.enter, site.names.remove, site.names.difference):
        with pytest.raises(ServerAway):
            ask(WEB)
    with pytest.raises(ServerAway):
        site.names.entries()
