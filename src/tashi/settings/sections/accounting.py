"""The accounting daemon: what it is made of, and where it keeps what happened."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tashi.settings import kinds
from tashi.settings.declare import family, section, setting
from tashi.settings.sections.parts import ACCOUNTING_ASKS, ONE_SERVICE, PUBLISHER

_TOLD_BY_THE_SCHEDULER: Final = "hooks are told by the scheduler: name them in [Primitive]"
_ADDED_UP: Final = "tashi-admin usage adds up what instances used, from every change of theirs"


@section("Accounting", obsolete={"service": ONE_SERVICE, "hook<N>": _TOLD_BY_THE_SCHEDULER})
class AccountingParts:
    """Which parts make up the accounting daemon."""

    publisher: str | None = setting(
        "publisher", kinds.implementation(PUBLISHER), default=None, words="Where metrics are sent."
    )


@section(
    "AccountingService",
    obsolete={"host": ACCOUNTING_ASKS, "port": ACCOUNTING_ASKS, "pollSleep": _ADDED_UP},
)
class AccountingSettings:
    """What the accounting daemon writes, and where."""

    journal: Path = setting(
        "journal",
        kinds.path,
        default=Path("/var/lib/tashi/accounting"),
        words="""The folder of the journal: every event of the cluster, as lines of JSON, and what
        tashi-admin usage reads.""",
    )
    volume_size: int = setting(
        "volumeSize",
        kinds.mebibytes,
        default=64,
        words="""MiB after which the journal goes on in another file of that folder. Files that are
        complete may be compressed by gzip, or moved away with what they know.""",
    )
    log_file: Path | None = setting(
        "logFile",
        kinds.path,
        default=None,
        words="""Where Apache Tashi's lines of accounting go; not set, to accounting.log in the
        folder of the journal. The file may be renamed at any time.""",
    )
    table_uri: str | None = setting(
        "tableUri",
        replace(kinds.text, hidden=True),  # it may hold a password
        default=None,
        words="""A database in which the table accounting gets a row for each event, as
        mysql://user@host/database or sqlite:///path; the password, and what else there is to say
        of it, are those of [SQL].""",
    )


@section("Webhooks")
class WebhookSettings:
    """Receivers in other systems that the accounting daemon tells every event, by HTTP."""

    urls: Mapping[int, str] = family(
        "url",
        kinds.url,
        default={},
        words="Where events are posted to; each has a secret of the same number.",
    )
    secrets: Mapping[int, str] = family(
        "secret",
        kinds.secret,
        default={},
        words="What the posts to the url of that number are signed with: at least 16 characters.",
    )
    timeout: float = setting(
        "timeout",
        kinds.seconds,
        default=10.0,
        words="Seconds that a receiver has to acknowledge an event before it is sent again.",
    )
