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
        words="""Which database: mysql://user@host/database (MariaDB too) or sqlite:///path, a file
        on a local disk.""",
    )
    password: str | None = setting(
        "password",
        kinds.secret,
        default=None,
        words="The password for the database; it goes before passwordFile and one in the uri.",
        variable="TASHI_SQL_PASSWORD",
    )
    password_file: Path | None = setting(
        "passwordFile",
        kinds.path,
        default=None,
        words="A file whose first line is the password, which nobody else may read.",
    )
    socket: Path | None = setting(
        "socket",
        kinds.path,
        default=None,
        words="The Unix socket of a database on this machine; host and port do not count then.",
    )
    tls_ca: Path | None = setting(
        "tlsCa",
        kinds.path,
        default=None,
        words="""The certificate of who vouches for the database, in PEM form. With it the line is
        encrypted, and a server that does not prove its name is refused.""",
    )
    tls_cert: Path | None = setting(
        "tlsCert", kinds.path, default=None, words="Our own certificate, for servers that want one."
    )
    tls_key: Path | None = setting("tlsKey", kinds.path, default=None, words="The key of tlsCert.")
    timeout: float = setting(
        "timeout",
        kinds.seconds,
        default=5.0,
        words="""Seconds that an answer of the database, or a lock in it, is waited for; no call to
        the cluster manager is answered meanwhile.""",
    )
