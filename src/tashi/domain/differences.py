"""Where the books and the site's servers do not say the same of guests' names and addresses. Pure.

The books are read before and after the servers are asked, since all three change meanwhile: only
what the books say alike both times is held against the servers. An entry was booked before a
server heard of it, and stays booked until all have forgotten it; so one that is in neither reading
is left over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tashi.domain.instance import Instance, Listing
from tashi.domain.listings import SiteEntry, duty_of, entries_of, entry_of

DNS: Final = "DNS"
DHCP: Final = "DHCP"


class Flaw(StrEnum):
    """In which way a server differs from the books."""

    MISSING = "missing"
    """It lacks all or some of what is booked."""
    WRONG = "wrong"
    """It has the name or the card for its owner, but not as it is booked."""
    TAKEN = "taken"
    """The name, the address or the card is somebody else's there."""
    LEFT_OVER = "left over"
    """It has what is Tashi's and booked for nobody."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a server, DNS or DHCP, differs from the books about an entry."""

    where: str
    entry: SiteEntry
    flaw: Flaw
    words: str


@dataclass(frozen=True, slots=True)
class Findings:
    """How many entries are booked, how the servers differ, and which of them do not list theirs."""

    booked: int
    differences: Sequence[Difference]
    unlisted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Booked:
    """What servers are to have, each entry with its listing, and what they have yet to forget."""

    wanted: Mapping[SiteEntry, Listing]
    unwanted: frozenset[SiteEntry]

    def __contains__(self, entry: object) -> bool:
        return entry in self.wanted or entry in self.unwanted

    def __iter__(self) -> Iterator[SiteEntry]:
        return iter((*self.wanted, *self.unwanted))


@dataclass(frozen=True, slots=True)
class Heard:
    """What one server said.

    `found` is what it lists as Tashi's, and `said`, for each entry that it was asked about, how it
    differs from that; ``None``: not at all.
    """

    where: str
    found: frozenset[SiteEntry]
    said: Mapping[SiteEntry, Difference | None]


def booked_in(records: Iterable[Instance]) -> Booked:
    """What is booked for these instances."""
    wanted: dict[SiteEntry, Listing] = {}
    unwanted: set[SiteEntry] = set()
    for record in records:
        forget = duty_of(record).forget
        unwanted.update(entry_of(record.id, one) for one in forget)
        wanted |= {key: one for key, one in entries_of(record).items() if one not in forget}
    return Booked(wanted, frozenset(unwanted - wanted.keys()))


def differences(
    before: Booked, after: Booked, heard: Heard, may_be_ours: Callable[[str], bool]
) -> list[Difference]:
    """How one server differs from what is booked.

    `may_be_ours` says of an address whether any guest of this cluster may have it: what another
    cluster has entered looks alike, and is not spoken of.
    """
    found = []
    for entry, said in heard.said.items():
        if entry in before.wanted or entry in after.wanted:
            if said is not None and before.wanted.get(entry) == after.wanted.get(entry):
                found.append(said)
        elif said is None or entry in heard.found:
            if entry in before.unwanted and entry in after.unwanted:
                found.append(_left_over(heard, entry, "the scheduler has yet to remove it"))
            elif entry not in before and entry not in after and may_be_ours(entry.ip):
                found.append(_left_over(heard, entry, "it is booked for nobody"))
    return found


def _left_over(heard: Heard, entry: SiteEntry, why: str) -> Difference:
    return Difference(heard.where, entry, Flaw.LEFT_OVER, f"{heard.where} has {entry}: {why}")
