"""The function of tashi-admin that asks every cluster manager whether it leads.

Other functions go to whichever leads; this one goes to each, and the program hands in the ways.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tashi.client import sheets
from tashi.client.arguments import Given
from tashi.client.command import Command, Session
from tashi.client.tables import Row, as_moment
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.wire.answers import ReignForm
from tashi.wire.calls import Calls, Link

_SECONDS: Final = 3.0

Ways = Callable[[], Mapping[str, Link]]
"""A link to each cluster manager, by its address."""


@dataclass(frozen=True, slots=True)
class _Hasty:
    """A link that asks once, and waits for a moment."""

    link: Link

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Ask once, also where the question may be repeated."""
        del repeatable
        return self.link.call(request, min(timeout_seconds, _SECONDS))


def commands(ways: Ways) -> tuple[Command, ...]:
    """The function, which asks those that `ways` leads to."""

    def run(session: Session, _given: Given) -> None:
        calls = session.cluster.calls
        rows = [_row(where, replace(calls, link=_Hasty(link))) for where, link in ways().items()]
        session.terminal.show(sheets.CLUSTER_MANAGERS, rows)

    return (
        Command(
            name="getClusterManagers",
            run=run,
            help="Say of every cluster manager whether it leads or stands by.",
            examples=("",),
            sheet=sheets.CLUSTER_MANAGERS,
        ),
    )


def _row(where: str, calls: Calls) -> Row:
    try:
        reign = calls.call("getReign", ReignForm)
    except NotLeader as other:
        return {"address": where, "state": "StandsBy", **_NO_REIGN, "words": other.message}
    except PeerSilent as silent:
        return {"address": where, "state": "Silent", **_NO_REIGN, "words": silent.message}
    return {
        "address": where,
        "state": "Leads",
        "epoch": reign.epoch,
        "since": as_moment(reign.began),
        "words": "",
    }


_NO_REIGN: Final[Row] = {"epoch": None, "since": None}
