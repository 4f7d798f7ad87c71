"""dhcpd's file of leases: what of Tashi's is there, whatever else and however much of it."""

from pathlib import Path

import pytest

from tashi.adapters.dhcp.leases import mark_of, marked_in
from tashi.adapters.dhcp.omapi import Dhcpd, OmapiPlace
from tashi.domain.errors import DhcpFailed
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry

WEB = SiteEntry(InstanceId(7), "web.lab", "10.77.0.7", "52:54:00:00:00:07")
_HOST = """\
host {name} {{
  dynamic;
  hardware ethernet {mac};
  fixed-address {ip};
        supersede host-name = "web";
{marks}}}
"""
_GONE = "host web.lab {\n  dynamic;\n  deleted;\n}\n"
_LEASE = "lease 10.77.0.9 {\n  starts 1 2026/11/30 07:00:00;\n  binding state active;\n}\n"


def host(entry: SiteEntry = WEB, *, is_marked: bool = True) -> str:
    """A host as dhcpd 4.4 writes it."""
    marks = f'        set tashi-instance = "{entry.owner}" ;\n' if is_marked else ""
    return _HOST.format(name=entry.name, mac=entry.mac, ip=entry.ip, marks=marks)


def test_the_mark_is_the_statement_that_is_found_again() -> None:
    assert mark_of(InstanceId(7)) == 'set tashi-instance = "7";'
    assert marked_in(_LEASE + host() + _LEASE) == [WEB]


@pytest.mark.parametrize(
    "file",
    [
        "",
        host(is_marked=False),
        host() + _GONE,
        host() + host(is_marked=False),
        host()[:-3],
        host().replace("10.77.0.7", ""),
        host().replace("web.lab", "-web"),
        host().replace('"7"', '"seven"'),
    ],
)
def test_what_is_not_ours_or_not_whole_or_gone_is_not_listed(file: str) -> None:
    assert marked_in(file) == []


def test_of_two_the_later_counts() -> None:
    moved = SiteEntry(WEB.owner, WEB.name, "10.77.0.70", WEB.mac)

    assert marked_in(host() + _GONE + host(moved)) == [moved]


def test_a_file_that_cannot_be_read_is_named_with_its_setting(tmp_path: Path) -> None:
    place = OmapiPlace(host="127.0.0.1", port=1, leases=tmp_path / "none")

    with pytest.raises(DhcpFailed, match=r"none.*take dhcpLeasesFile out of \[DhcpDns\]"):
        Dhcpd(place).entries()
