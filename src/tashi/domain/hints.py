"""The hints that an instance may carry: what each means and which values it takes.

Hints travel as text, from the client to the books and to QEMU's command line, so every value is
checked here, once, against a narrow pattern. A name beginning with ``x-`` belongs to the site (for
its own hooks) and may hold any plain word; any other unknown name is refused, since a misspelt hint
that is silently ignored is worse than none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from tashi.domain.errors import InvalidInstance

MOST_HINTS: Final = 64

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z")
_PEERS: Final = re.compile(r"(group|instance):[A-Za-z0-9.-]+(\+(group|instance):[A-Za-z0-9.-]+)*\Z")
_FLAG: Final = re.compile(r"(true|false|yes|no|on|off|1|0)\Z", re.IGNORECASE | re.ASCII)
_CPU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_SUBDOMAIN: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint: its name, the pattern of its values, what is right, and what it means."""

    name: str
    pattern: re.Pattern[str]
    right: str
    words: str


def _one_of(*values: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(re.escape(value) for value in values)})\Z")


_HINTS: Final = (
    Hint("targetHost", _WORD, "a host's name or id", "Start it on this host."),
    Hint("allowElsewhere", _FLAG, "True or False", "Whether another host will do when the target host does not."),
    Hint("densePack", _FLAG, "True or False", "Prefer the fullest host that fits (True) or the emptiest (False)."),
    Hint("near", _PEERS, "group:NAME or instance:NAME, several joined by +", "Only on a host that has one of these."),
    Hint("away", _PEERS, "group:NAME or instance:NAME, several joined by +", "Never on a host that has one of these."),
    Hint("preferNear", _PEERS, "group:NAME or instance:NAME, several joined by +", "Rather on a host that has one of these."),
    Hint("preferAway", _PEERS, "group:NAME or instance:NAME, several joined by +", "Rather on a host that has none of these."),
    Hint("cpumodel", _CPU, "a CPU model that QEMU knows", "The CPU that the guest sees."),
    Hint("diskInterface", _one_of("virtio", "ide", "scsi"), "virtio, ide or scsi", "How disks are attached; default virtio."),
    Hint("nicModel", _one_of("virtio", "e1000", "e1000e", "rtl8139"), "virtio, e1000, e1000e or rtl8139", "Which network card the guest sees; default virtio."),
    Hint("noAcpi", _FLAG, "True or False", "Start without ACPI; the guest then cannot be asked to power off."),
    Hint("subDomain", _SUBDOMAIN, "labels joined by dots", "Register the name as NAME.SUBDOMAIN in the site's domain."),
    Hint("scratchSpace", re.compile(r"[0-9]{1,6}\Z"), "a whole number of GiB", "Scratch disk attached last and removed with the instance."),
    Hint("clock", _WORD, "a plain word", "Accepted for old scripts; QEMU has no such choice any more."),
    Hint("enableDisplay", _WORD, "a plain word", "Accepted for old scripts; ask for a display with startVnc."),
)  # fmt: skip

HINTS: Final[dict[str, Hint]] = {hint.name: hint for hint in _HINTS}


def check_hints(hints: Mapping[str, str]) -> None:
    """Raise InvalidInstance for the first hint whose name or value is not allowed."""
    if len(hints) > MOST_HINTS:
        raise InvalidInstance(f"{len(hints)} hints are too many: at most {MOST_HINTS}.")
    for name, value in hints.items():
        if name.startswith("__"):
            raise InvalidInstance(f"Hint {name!r} is reserved for Tashi: choose another name.")
        hint = HINTS.get(name) or _site_hint(name)
        if hint.pattern.match(value) is None:
            raise InvalidInstance(f"Hint {name}={value!r} is not allowed: give {hint.right}.")


def flag(hints: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """The value of a yes-or-no hint."""
    value = hints.get(name)
    return default if value is None else value.lower() in {"true", "yes", "on", "1"}


def peers(hints: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    """The (kind, name) pairs of an affinity hint; kind is ``group`` or ``instance``."""
    value = hints.get(name, "")
    pairs = (one.split(":", 1) for one in value.split("+") if one)
    return tuple((kind, peer) for kind, peer in pairs)


def _site_hint(name: str) -> Hint:
    if name.startswith("x-") and _WORD.match(name):
        return Hint(name, _WORD, "a plain word", "The site's own.")
    near = get_close_matches(name, HINTS, n=1)
    rest = "createVm --help lists those there are, and names of your own begin with x-."
    remedy = f"did you mean {near[0]}?" if near else rest
    raise InvalidInstance(f"There is no hint {name!r}: {remedy}")
