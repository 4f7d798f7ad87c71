"""Where a database is, as an administrator writes it, and how it is to be talked to.

    mysql://user@host/database     mysql://user@host:3307/database     sqlite:///var/lib/tashi/books

What stands after `sqlite://` is the file's path. Parts with special characters are written with
percent signs, as in every URI. Pure: nothing is connected here.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from tashi.domain.errors import Misconfigured

MYSQL: Final = "mysql"
SQLITE: Final = "sqlite"
_MYSQL_SCHEMES: Final = {"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"}
_MYSQL_PORT: Final = 3306
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_EXAMPLES: Final = "write mysql://user@host/database or sqlite:///path"


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that prove who is at each end; all are in PEM form."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One database; `kind` is MYSQL (MariaDB too) or SQLITE, whose `path` alone counts.

    `socket` is a Unix socket, which goes before host and port. `timeout` says for how many seconds
    an answer is waited for.
    """

    kind: str
    path: Path = Path()
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = "localhost"
    port: int = _MYSQL_PORT
    database: str = ""
    socket: Path | None = None
    tls: Tls = Tls()
    timeout: float = 5.0

    @property
    def is_local(self) -> bool:
        """Whether what is said stays on this machine."""
        return self.kind == SQLITE or self.socket is not None or self.host in _LOOPBACK

    def __str__(self) -> str:
        """The address without its password, for messages."""
        if self.kind == SQLITE:
            return str(self.path)
        if self.socket is not None:
            return f"database {self.database} at {self.socket}"
        return f"database {self.database} on {self.host}:{self.port}"


def address_of(
    uri: str,
    *,
    password: str | None = None,
    socket: Path | None = None,
    tls: Tls | None = None,
    timeout: float = 5.0,
) -> Address:
    """The address that a URI stands for; a password given beside it goes before one that is in it.

    Raises Misconfigured. The URI is not repeated in what is said, because it may hold a password.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port or _MYSQL_PORT
    except ValueError as wrong:
        raise Misconfigured(f"[SQL] uri cannot be read ({wrong}): {_EXAMPLES}.") from wrong
    if parts.scheme == SQLITE:
        return Address(kind=SQLITE, path=_path_in(uri), timeout=timeout)
    if parts.scheme not in _MYSQL_SCHEMES:
        raise Misconfigured(f"[SQL] uri is for no database that Tashi knows: {_EXAMPLES}.")
    return Address(
        kind=MYSQL,
        user=_required(unquote(parts.username or ""), "a user"),
        password=unquote(parts.password or "") if password is None else password,
        host=_host_in(parts),
        port=port,
        database=_database_in(parts),
        socket=socket,
        tls=tls or Tls(),
        timeout=timeout,
    )


def has_password(uri: str) -> bool:
    """Whether a password is in that URI."""
    try:
        return bool(urlsplit(uri).password)
    except ValueError:  # what is wrong with it is said when it is read
        return False


def printable(path: str) -> str:
    """The path that was written with percent signs; raises Misconfigured for a line break in it."""
    if not path.isprintable():
        raise Misconfigured("The path of a URI has a character that cannot be printed.")
    return path


def _path_in(uri: str) -> Path:
    path = unquote(uri.partition("://")[2].partition("?")[0])
    plain = path.replace("//", "/", 1) if path.startswith("//") else path
    return Path(printable(_required(plain, "a path"))).absolute()


def _host_in(parts: SplitResult) -> str:
    host = parts.hostname or "localhost"
    try:
        host.encode("idna")
    except UnicodeError as wrong:  # which the library that connects does not expect
        raise Misconfigured(f"[SQL] uri names a host that there cannot be: {_EXAMPLES}.") from wrong
    return host


def _database_in(parts: SplitResult) -> str:
    name = _required(unquote(parts.path.strip("/")), "a database")
    if "/" in name or parts.query:
        raise Misconfigured(
            f"[SQL] uri has more behind the database's name than that: {_EXAMPLES}, and give the "
            "rest in settings of their own."
        )
    return name


def _required(part: str, what: str) -> str:
    if not part:
        raise Misconfigured(f"[SQL] uri names not {what}: {_EXAMPLES}.")
    return part
