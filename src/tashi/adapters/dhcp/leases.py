"""The hosts in dhcpd's file of leases, as far as Tashi has entered them.

dhcpd appends to the file: of two hosts with one name the later counts, and one that was deleted
stands there once more and says so. A host of ours has a statement beside its name and address that
does nothing but say which instance it is for; it is kept by dhcpd and shown by nothing else. Each
host is looked at by itself, so one that is only half written, as the file is read, is passed over.
"""

import re
from ipaddress import IPv4Address
from typing import Final

from tashi.domain.hostnames import is_host_name
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry

_HOST: Final = re.compile(r"^host (\S+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MAC: Final = re.compile(r"^ *hardware ethernet ([0-9a-f]{2}(?::[0-9a-f]{2}){5});$", re.MULTILINE)
_ADDRESS: Final = re.compile(r"^ *fixed-address (\d{1,3}(?:\.\d{1,3}){3});$", re.MULTILINE)
_MARK: Final = re.compile(r"^ *set tashi-instance = \"(\d{1,18})\" ?;$", re.MULTILINE)
_DELETED: Final = re.compile(r"^ *deleted;$", re.MULTILINE)


def mark_of(owner: InstanceId) -> str:
    """The statement that says whose a host is."""
    return f'set tashi-instance = "{owner}";'


def marked_in(file: str) -> list[SiteEntry]:
    """The hosts that bear the mark and are there still."""
    found: dict[str, SiteEntry | None] = {}
    for host in _HOST.finditer(file):
        name, words = host[1].strip('"'), host[2]
        found.pop(name, None)
        if not _DELETED.search(words):
            found[name] = _entry(name, words)
    return [one for one in found.values() if one is not None]


def _entry(name: str, words: str) -> SiteEntry | None:
    mac, address, mark = _MAC.search(words), _ADDRESS.search(words), _MARK.search(words)
    if mac is None or address is None or mark is None or not is_host_name(name):
        return None
    return SiteEntry(InstanceId(int(mark[1])), name, str(IPv4Address(address[1])), mac[1])
