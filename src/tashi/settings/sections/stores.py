"""Where the cluster's books are kept."""

from dataclasses import replace
from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Pickled")
class PickledSettings:
    """The flat file: a readable journal of the cluster's books (the name is history)."""

    file: Path = setting(
        "file",
        kinds.path,
        default=Path("/var/tmp/cm.dat"),  # noqa: S108  Tashi's own place; the store guards it
        words="The journal; its snapshot and its lock are beside it.",
    )


@section("SQL")
class SqlSettings:
    """The database, when the books are kept in one."""

    uri: str | None = setting(
        "uri",
        replace(kinds.text, hidden=True),  # it may hold a password
        default=None,
        words="Which database: mysql://user@host/database or sqlite:///path.",
    )
    password: str | None = setting(
        "password", kinds.secret, default=None, words="The password for the database."
    )
