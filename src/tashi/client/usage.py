"""tashi-admin usage: what users used, from the journal that the accounting daemon keeps.

The cluster manager is asked for the users' names only, and where it is silent, ids do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tashi.client import arguments as a
from tashi.client.arguments import Argument, Given, Misused
from tashi.client.command import OUTPUTS, Command, Session
from tashi.client.tables import Json, Row, as_moment, as_text, sheet
from tashi.domain.errors import Failed
from tashi.domain.identity import UserId
from tashi.domain.usage import Account, Usage

_HOUR_SECONDS: Final = 3600
_GIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Accounts:
    """The program's way to the journal, and the time now.

    `account` adds up what was used between two times in seconds since 1970, and may raise a
    TashiError.
    """

    account: Callable[[float, float], Account]
    now: Callable[[], float]


def _moment(typed: str) -> float:
    try:
        return datetime.fromisoformat(typed.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as wrong:
        raise ValueError(
            f"takes a day such as 2026-11-01 or a time such as 2026-11-01T12:30, not {typed!r}"
        ) from wrong


FROM: Final = Argument(
    name="from",
    read=_moment,
    metavar="TIME",
    required=True,
    words="from this day's beginning, or this time, on",
)
TO: Final[Argument[float | None]] = Argument(
    name="to",
    read=_moment,
    metavar="TIME",
    words="until this day's beginning, or this time (default: now)",
)
ONE_USER: Final[Argument[str | None]] = Argument(
    name="user", read=a.text, metavar="USER", words="only this user, by id or name"
)


def _hours(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        hours = row[name]
        return f"{hours:.2f}" if isinstance(hours, float) else as_text(hours)

    return text


SHEET: Final = sheet(
    "user userId instances instanceHours coreHours memoryHours",
    "instanceSeconds coreSeconds memorySeconds",
    **{name: _hours(name) for name in ("instanceHours", "coreHours", "memoryHours")},
)


def commands(accounts: Accounts) -> tuple[Command, ...]:
    """The functions of tashi-admin about what was used."""

    def run(session: Session, given: Given) -> None:
        now = accounts.now()
        begin, to = given[FROM], given[TO]
        end = now if to is None else to
        if begin >= min(end, now):
            raise Misused(f"--from must be earlier than {'now' if begin >= now else '--to'}.")
        only = _only(session, given[ONE_USER])
        with session.terminal.busy("reading the journal"):
            account = accounts.account(begin, min(end, now))
        for since, until in account.gaps:
            session.terminal.warn(
                f"What happened from {as_moment(since)} to {as_moment(until)} is not in the "
                "journal: only what is proven is charged there."
            )
        used = account.used
        shown = used if only is None else {only: used.get(only, Usage())}
        session.terminal.show(SHEET, _rows(shown, _names(session)))

    return (
        Command(
            name="usage",
            run=run,
            takes=(FROM, TO, ONE_USER),
            help="Say how many hours of instances, cores and memory (in GiB) users used.",
            examples=(
                "--from 2026-11-01 --to 2026-12-01",
                "--from 2026-11-29T12:00 --user ada --output json",
                "--from 2026-11-01 --output csv",
            ),
            sheet=SHEET,
            outputs=(*OUTPUTS, "csv"),
        ),
    )


def _only(session: Session, typed: str | None) -> UserId | None:
    if typed is None:
        return None
    return UserId(session.cluster.user_id(typed))


def _names(session: Session) -> Mapping[int, str]:
    try:
        return {user.id: user.name for user in session.cluster.users()}
    except Failed as silent:
        session.terminal.add(f"Names of users are not known: {silent.message}")
        return {}


def _rows(used: Mapping[UserId, Usage], names: Mapping[int, str]) -> list[Row]:
    return [_row(user, one, names.get(user)) for user, one in used.items()]


def _row(user: UserId, used: Usage, name: str | None) -> dict[str, Json]:
    return {
        "user": str(user) if name is None else name,
        "userId": user,
        "instances": used.instances,
        "instanceHours": round(used.instance_seconds / _HOUR_SECONDS, 6),
        "coreHours": round(used.core_seconds / _HOUR_SECONDS, 6),
        "memoryHours": round(used.memory_seconds / _GIB / _HOUR_SECONDS, 6),
        "instanceSeconds": round(used.instance_seconds, 3),
        "coreSeconds": round(used.core_seconds, 3),
        "memorySeconds": round(used.memory_seconds, 3),
    }
