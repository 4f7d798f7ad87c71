"""The outlets that the settings name; whoever has none of a kind does not import its library."""

import hashlib
from typing import TYPE_CHECKING, Final

from tashi.adapters.accounting.bookmark import Bookmark
from tashi.adapters.accounting.lines import LineLog
from tashi.adapters.system.clock import SystemClock
from tashi.domain.errors import Misconfigured
from tashi.settings.load import Settings
from tashi.settings.sections.accounting import AccountingSettings, WebhookSettings
from tashi.settings.sections.stores import SqlSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tashi.ports.outlets import Outlet

_SHORTEST_SECRET: Final = 16


def chosen_outlets(settings: Settings) -> "tuple[Outlet, ...]":
    """Every outlet, the log first; raises Misconfigured."""
    ours = settings.of(AccountingSettings)
    places = ours.journal / "outlets"
    log = LineLog(ours.log_file or ours.journal / "accounting.log", Bookmark(places / "log.json"))
    return (log, *_table(ours, settings), *_webhooks(settings, places))


def _table(ours: AccountingSettings, settings: Settings) -> "Iterator[Outlet]":
    if ours.table_uri is not None:
        from tashi.adapters.store.sql.accounting import AccountingTable
        from tashi.programs.databases import described

        yield AccountingTable(described(ours.table_uri, settings.of(SqlSettings)))


def _webhooks(settings: Settings, places: "Path") -> "Iterator[Outlet]":
    ours = settings.of(WebhookSettings)
    if lonely := sorted(ours.secrets.keys() - ours.urls.keys()):
        raise Misconfigured(f"[Webhooks] secret{lonely[0]} is for no url: set url{lonely[0]}.")
    known: dict[str, int] = {}
    for number, url in ours.urls.items():
        if (other := known.setdefault(url, number)) != number:
            raise Misconfigured(f"[Webhooks] url{number} is the same as url{other}: remove one.")
        secret = ours.secrets.get(number, "")
        if len(secret) < _SHORTEST_SECRET:
            raise Misconfigured(
                f"[Webhooks] url{number} needs secret{number} of at least {_SHORTEST_SECRET} "
                "characters, such as `openssl rand -hex 32` prints, for posts are signed."
            )
        from tashi.adapters.accounting.webhook import Receiver, Webhook

        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        yield Webhook(
            Receiver(url, secret, ours.timeout),
            Bookmark(places / f"webhook-{name}.json"),
            SystemClock(),
        )
