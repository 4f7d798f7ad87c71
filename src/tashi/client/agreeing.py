"""Whether the books, DNS and DHCP agree on guests' names and addresses, for administrators.

The site's servers are asked from here, since only the files of the scheduler say where they are and
with which keys; the program hands in who asks them.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Argument, Given
from tashi.client.command import Command, Session
from tashi.client.tables import Row
from tashi.client.terminal import Note
from tashi.domain.differences import DHCP, DNS, Difference, Findings
from tashi.domain.errors import Refused
from tashi.wire.calls import Calls


class Inspection(Protocol):
    """Who asks the site's servers; both may raise a TashiError."""

    def look(self, asks: Note) -> Findings:
        """How they differ from the books; says what it asks about, and after how many others."""
        ...

    def mend(self, found: Sequence[Difference]) -> None:
        """Have that mended, as far as it can be."""
        ...


_REMEDIES: Final = {
    DNS: "It would, if allow-transfer let the key have the zone.",
    DHCP: "Where dhcpd runs on this machine, dhcpLeasesFile in [DhcpDns] helps.",
}

REPAIR: Final[Argument[bool]] = Argument(
    name="repair",
    read=a.switch,
    default=False,
    words="enter what is missing, and remove what is left over of Tashi's",
)


def commands(inspection: Callable[[Calls], Inspection]) -> tuple[Command, ...]:
    """The row; `inspection` makes who asks the servers, and the books by these calls."""

    def check(session: Session, given: Given) -> None:
        office = inspection(session.cluster.calls)
        first = _look(session, office)
        last = first
        if given[REPAIR] and first.differences:
            office.mend(first.differences)
            last = _look(session, office)
        _show(session, first, last)

    return (
        Command(
            name="checkDhcpDns",
            run=check,
            takes=(REPAIR,),
            help="Compare guests' names and addresses in the books, in DNS and in DHCP.",
            examples=("", "--repair"),
            sheet=sheets.DIFFERENCES,
        ),
    )


def _look(session: Session, office: Inspection) -> Findings:
    with session.terminal.progress(1) as note:
        return office.look(lambda words, done: note(f"{words}, after {done} others", 0))


def _show(session: Session, first: Findings, last: Findings) -> None:
    terminal, left = session.terminal, last.differences
    mended = [one for one in first.differences if one not in left]
    for where in last.unlisted:
        terminal.warn(
            f"{where} does not list what it has: what is left over there is only found where "
            f"another server or the books name it. {_REMEDIES[where]}"
        )
    if mended or left:
        rows = [*(_row(one, mended=True) for one in mended), *(_row(one) for one in left)]
        terminal.show(sheets.DIFFERENCES, rows)
    else:
        terminal.say(f"All agree on {last.booked} names and addresses.", [])
    if left:
        count = "1 difference is" if len(left) == 1 else f"{len(left)} differences are"
        raise Refused(
            f"{count} left. --repair enters what is missing or wrong and removes what is left over "
            "of Tashi's; what is taken stays its owner's, and why says what an instance lacks."
        )


def _row(one: Difference, *, mended: bool = False) -> Row:
    entry = one.entry
    return {
        "where": one.where,
        "instanceId": entry.owner,
        "name": entry.name,
        "ip": entry.ip,
        "mac": entry.mac,
        "flaw": one.flaw.value,
        "words": one.words,
        "mended": mended,
    }
