"""How disks, network cards and hints are written on the command line, and read from it.

    disks   web.qcow2,data.qcow2:True               True: what is written is kept in the image
    nics    1,2:192.0.2.17,::52:54:00:12:34:56      network, address, MAC; each may be left out
    hints   targetHost=rack1,allowElsewhere=True

Reading what was written gives the same again. An IPv6 address stands in brackets. Readers raise
ValueError with words that go on after the argument's name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tashi.wire.forms import DiskForm

NO_NICS: Final = "none"
MOST_DIGITS: Final = 18
"""So long are the longest numbers; each of that length fits into 64 bits."""

_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\Z")
_BRACKETED: Final = re.compile(r"\[(?P<ip>[^\]]*)\](:(?P<mac>.*))?\Z", re.DOTALL)
_KEPT: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class NicWish:
    """A network card as it was asked for; what is empty is chosen by the cluster manager."""

    network: str = ""
    ip: str | None = None
    mac: str = ""


def read_disks(text: str) -> tuple[DiskForm, ...]:
    """Read `IMAGE[:True|False],…`."""
    return tuple(_read_disk(part.strip()) for part in text.split(","))


def write_disks(disks: Iterable[DiskForm]) -> str:
    """Write disks as they are read."""
    return ",".join(f"{disk.uri}:True" if disk.persistent else disk.uri for disk in disks)


def read_nics(text: str) -> tuple[NicWish, ...]:
    """Read `[NETWORK][:IP][:MAC],…`, or `none`."""
    if text.strip().lower() == NO_NICS:
        return ()
    return tuple(_read_nic(part.strip()) for part in text.split(","))


def write_nics(nics: Sequence[NicWish]) -> str:
    """Write network cards as they are read."""
    return ",".join(_write_nic(nic) for nic in nics) if nics else NO_NICS


def read_hints(text: str) -> dict[str, str]:
    """Read `NAME=VALUE,…`; of two with one name the later counts."""
    return dict(_read_hint(part.strip()) for part in text.split(",") if part.strip())


def _read_disk(text: str) -> DiskForm:
    uri, colon, kept = text.partition(":")
    if not uri:
        raise ValueError("names no image: write it as in web.qcow2 or web.qcow2:True")
    if colon and kept.lower() not in _KEPT:
        raise ValueError(f"takes True or False after an image's colon, not {kept!r}")
    return DiskForm(uri, persistent=_KEPT.get(kept.lower(), False))


def _read_nic(text: str) -> NicWish:
    network, _, rest = text.partition(":")
    if _MAC.match(rest):
        return NicWish(network, None, rest)
    bracketed = _BRACKETED.match(rest)
    if bracketed:
        return NicWish(network, bracketed["ip"] or None, bracketed["mac"] or "")
    ip, _, mac = rest.partition(":")
    return NicWish(network, ip or None, mac)


def _write_nic(nic: NicWish) -> str:
    ip = nic.ip or ""
    ip = f"[{ip}]" if ":" in ip else ip
    return f"{nic.network}:{ip}:{nic.mac}".rstrip(":")


def _read_hint(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"takes NAME=VALUE, not {text!r}")
    return name.strip(), value.strip()
