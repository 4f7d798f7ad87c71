"""Which of the site's servers the scheduler tells, and with which keys, as the settings say."""

from pathlib import Path

import pytest

from site_servers import SECRET
from tashi.adapters.dhcp.dnsmasq import Dnsmasq
from tashi.adapters.dhcp.omapi import Dhcpd
from tashi.adapters.dns.rfc2136 import Rfc2136
from tashi.domain.errors import Misconfigured
from tashi.domain.identity import NetworkId
from tashi.domain.pools import Pool
from tashi.programs.site import chosen_ranges, chosen_servers, chosen_site
from tashi.settings.load import Settings, load
from tashi.settings.search import Program

HOOK = "[Primitive]\nhook1 = tashi.agents.DhcpDns\n"
DNS = f"dnsServer = 127.0.0.1 53\ndnsDomain = a.test\ndnsKeyName = k\ndnsSecretKey = {SECRET}\n"
DHCP = f"dhcpServer = 127.0.0.1\ndhcpKeyName = k\ndhcpSecretKey = {SECRET}\n"


def settings(folder: Path, hook: str, *lines: str) -> Settings:
    (folder / "Agent.cfg").write_text(f"{hook}[DhcpDns]\n{''.join(lines)}")
    return load(Program.AGENT, {"TASHI_CONFIG_DIRS": str(folder)})


def test_without_the_hook_nobody_is_told_and_nothing_is_booked(tmp_path: Path) -> None:
    given = settings(tmp_path, "", DNS, DHCP, "ipRange1 = 10.0.0.1-10.0.0.9\n")

    assert chosen_servers(given).everyone() == {}
    assert chosen_site(given).ranges == {}


def test_with_it_both_are_told_and_each_can_be_switched_off(tmp_path: Path) -> None:
    both = chosen_servers(settings(tmp_path, HOOK, DNS, DHCP))
    no_dns = chosen_servers(settings(tmp_path, HOOK, "dnsEnabled = False\n", DHCP))
    no_dhcp = chosen_servers(settings(tmp_path, HOOK, DNS, "dhcpEnabled = False\n"))

    assert isinstance(both.names, Rfc2136)
    assert isinstance(both.addresses, Dhcpd)
    assert list(no_dns.everyone()) == ["DHCP"]
    assert list(no_dhcp.everyone()) == ["DNS"]


def test_dnsmasq_is_told_where_its_folder_is_given(tmp_path: Path) -> None:
    folder = f"dhcpHostsDir = {tmp_path}\n"

    chosen = chosen_servers(settings(tmp_path, HOOK, DNS, folder, "dhcpPidFile = /run/d.pid\n"))

    assert isinstance(chosen.addresses, Dnsmasq)
    with pytest.raises(Misconfigured, match="dhcpHostsDir needs dhcpPidFile"):
        chosen_servers(settings(tmp_path, HOOK, DNS, folder))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((DHCP,), "dnsServer and dnsDomain are needed"),
        ((DNS,), "dhcpServer is needed"),
        ((DNS.replace("dnsKeyName = k\n", ""), DHCP), "dnsKeyName and dnsSecretKey belong"),
        ((DNS, DHCP.replace("dhcpKeyName = k\n", "")), "dhcpKeyName and dhcpSecretKey belong"),
        ((DNS.replace(SECRET, "?"), DHCP), "base64"),
        ((DNS, DHCP.replace(SECRET, "a")), "dhcpSecretKey is not written in base64"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    tmp_path: Path, lines: tuple[str, ...], words: str
) -> None:
    with pytest.raises(Misconfigured, match=words):
        chosen_servers(settings(tmp_path, HOOK, *lines))


def test_what_guests_must_not_have_is_kept_out_of_a_range(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        HOOK,
        "ipRange9 = 10.0.0.0-10.0.0.9\nipNetwork9 = 10.0.0.1/29\nipReserved9 = 10.0.0.5\n",
    )

    one = chosen_ranges(given)[NetworkId(9)]

    pool = Pool(one.span, one.kept_out)
    free = [last for last in range(10) if pool.is_free(f"10.0.0.{last}")]
    assert free == [2, 3, 4, 6, 8, 9]
    with pytest.raises(Misconfigured, match="but no ipRange7"):
        chosen_ranges(settings(tmp_path, HOOK, "ipNetwork7 = 10.0.0.1/29\n"))
