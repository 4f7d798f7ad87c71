"""The functions of tashi-admin about certificates: the cluster's authority and what it gives out.

They need no cluster manager, only the authority's key: the program hands in who works with that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tashi.client import arguments as a
from tashi.client.arguments import Argument, Given
from tashi.client.command import Command, Session

ROLES: Final = ("clustermanager", "nodemanager", "scheduler", "agent", "user")
LONGEST_DAYS: Final = 3650
LONGEST_NAME: Final = 64
"""X.520's upper bound of a common name (RFC 5280, appendix A)."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was given out or renewed: where it lies, and how long it is good."""

    role: str
    name: str
    folder: str
    until: datetime


class Authority(Protocol):
    """Who works with the key of the cluster's authority; each may raise a TashiError."""

    def begin(self) -> str:
        """Make the authority, and say in which folder."""
        ...

    def issue(
        self, role: str, name: str, addresses: Sequence[str], days: int, to: str | None
    ) -> Issued:
        """Give out a certificate, into the folder `to` or the one where programs look."""
        ...

    def renew(self, folder: str, days: int) -> Issued:
        """Replace the certificate in a folder by a fresh one."""
        ...


def _role(typed: str) -> str:
    if typed not in ROLES:
        raise ValueError(f"takes {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    return typed


def _name(typed: str) -> str:
    plain = typed.isascii() and not set(typed) & set(',=+<>#;\\"/ \t')
    if not (plain and typed.isprintable() and 1 <= len(typed) <= LONGEST_NAME):
        raise ValueError(f"takes a host's or a user's name of at most {LONGEST_NAME} plain letters")
    return typed


def _names(typed: str) -> tuple[str, ...]:
    return tuple(_name(one.strip()) for one in typed.split(","))


def _days(typed: str) -> int:
    days = a.whole_number(typed)
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"takes a number of days from 1 to {LONGEST_DAYS}")
    return days


ROLE: Final = Argument(
    name="role", read=_role, metavar="ROLE", required=True, words=f"what it is: {', '.join(ROLES)}"
)
NAME: Final = Argument(
    name="name",
    read=_name,
    metavar="NAME",
    required=True,
    words="the machine that a daemon runs on, by the name others reach it by, or the user's name",
)
ADDRESSES: Final[Argument[tuple[str, ...]]] = Argument(
    name="addresses",
    read=_names,
    metavar="ADDRESSES",
    default=(),
    words="further names and IP addresses that a daemon answers at, with commas between",
)
TO: Final[Argument[str | None]] = Argument(
    name="to",
    read=a.text,
    metavar="FOLDER",
    words="the new folder to put it in (default: where programs of this machine look)",
)
DAYS: Final = Argument(
    name="days", read=_days, metavar="DAYS", default=365, words="for how many days it is good"
)
FOLDER: Final = Argument(
    name="folder", read=a.text, metavar="FOLDER", required=True, words="where the certificate lies"
)


def commands(authority: Authority) -> tuple[Command, ...]:
    """The rows; `authority` does the work."""

    def begin(session: Session, _given: Given) -> None:
        folder = authority.begin()
        words = (
            f"The cluster's authority is in {folder}. Keep ca-key.pem secret and safe: whoever has "
            "it can be anybody."
        )
        session.terminal.say(words, {"folder": folder})

    def issue(session: Session, given: Given) -> None:
        issued = authority.issue(
            given[ROLE], given[NAME], given[ADDRESSES], given[DAYS] or 0, given[TO]
        )
        _show(session, issued)

    def renew(session: Session, given: Given) -> None:
        _show(session, authority.renew(given[FOLDER], given[DAYS] or 0))

    return (
        Command(
            name="initPki",
            run=begin,
            help="Make the cluster's certificate authority; needs no cluster manager.",
            examples=("",),
        ),
        Command(
            name="issueCertificate",
            run=issue,
            takes=(ROLE, NAME, ADDRESSES, TO, DAYS),
            help="Give a daemon or a user a certificate; needs no cluster manager.",
            examples=(
                "--role clustermanager --name cm.example.org",
                "--role nodemanager --name rack1 --addresses 10.0.0.11 --to ./rack1",
                "--role user --name ada --to ./ada",
            ),
        ),
        Command(
            name="renewCertificate",
            run=renew,
            takes=(FOLDER, DAYS),
            help="Renew a certificate for the same key; its program need not be restarted.",
            examples=("--folder ./rack1",),
        ),
    )


def _show(session: Session, issued: Issued) -> None:
    words = (
        f"The certificate of the {issued.role} {issued.name} is in {issued.folder}; it is good "
        f"until {issued.until:%Y-%m-%d}."
    )
    told = {
        "role": issued.role,
        "name": issued.name,
        "folder": issued.folder,
        "until": issued.until.isoformat(),
    }
    session.terminal.say(words, told)
