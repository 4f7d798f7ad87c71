"""An `ldapsearch` line, read for what it asks: no program is run.

Apache Tashi ran such a line as it stood, which put the password in its -w on every list of
processes. Here it is only another way of writing the settings of [LdapOverride]. Its options mean
what ldapsearch(1) says; an option that has no meaning here is a mistake, because what it was to do
would silently not happen. The set-up guide's own line has lost its host (`-h -b …`): that is read
as no host, and who needs one says so.
"""

import getopt
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote, unquote

from tashi.settings.kinds import Kind, Unsuitable
from tashi.settings.kinds import path as a_path

_OPTIONS: Final = "xLvw:y:D:h:p:H:b:s:z:l:P:E:o:ZWY:U:"
_WITHOUT_EFFECT: Final = {
    "-x",  # a simple bind is the only one here
    "-L",  # how results would be printed
    "-v",
}
_NOT_HERE: Final = {
    "-W": "nobody is there to type a password: write it into a file, and -y before its name",
    "-Y": "Tashi binds by name and password (-D and -w or -y), not over SASL",
    "-U": "Tashi binds by name and password (-D and -w or -y), not over SASL",
}
_SCOPES: Final = ("base", "one", "sub")
_SHELL: Final = frozenset("|;&<>`")
_SERVER: Final = re.compile(
    r"(?P<scheme>ldaps?|ldapi)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?:\[\]]*)(:(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)
_PORTS: Final = {"ldap": 389, "ldaps": 636, "ldapi": 0}
_HIGHEST_PORT: Final = 65535
_HIGHEST_LIMIT: Final = 2**31 - 1
"""maxInt of RFC 4511, section 4.1.1."""


@dataclass(frozen=True, slots=True)
class LdapServer:
    """One address of a directory; of an ldapi one, `host` is the path of its socket."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.scheme == "ldapi":
            return f"ldapi://{quote(self.host, safe='')}"
        where = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{where}:{self.port}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LdapSearch:
    """What a line asks for; ``None``, and no servers, is what it does not say.

    It has no `repr`, because it may hold a password. `size_limit` and `time_limit` are 0 for none.
    """

    servers: tuple[LdapServer, ...] = ()
    start_tls: bool = False
    bind_dn: str | None = None
    password: str | None = None
    password_file: Path | None = None
    base: str | None = None
    scope: str = "sub"
    filter: str | None = None
    size_limit: int = 0
    time_limit: int = 0


def read(written: str) -> LdapSearch:
    """Read a line; raises Unsuitable with what is wrong, and never with the password."""
    words = _words(written)
    try:
        options, rest = getopt.gnu_getopt(_without_lost_host(words[1:]), _OPTIONS)
    except getopt.GetoptError as wrong:
        what = "needs a value" if "requires" in wrong.msg else "means nothing here"
        raise Unsuitable(f"has an option that {what}: -{wrong.opt}") from wrong
    given = {flag: value for flag, value in options if flag not in _WITHOUT_EFFECT}
    for flag in given:
        if flag in _NOT_HERE:
            raise Unsuitable(f"has {flag}, but {_NOT_HERE[flag]}")
    _check_fixed(given)
    return LdapSearch(
        servers=_servers(given),
        start_tls="-Z" in given,
        bind_dn=given.get("-D") or None,
        password=given.get("-w") or None,
        password_file=_password_file(given),
        base=given.get("-b"),
        scope=given.get("-s", "sub"),
        filter=rest[0] if rest and "=" in rest[0] else None,  # attributes may follow it
        size_limit=_limit(given, "-z"),
        time_limit=_limit(given, "-l"),
    )


def _words(written: str) -> list[str]:
    try:
        words = shlex.split(written)
    except ValueError as unclosed:
        raise Unsuitable("has a quotation mark that is never closed") from unclosed
    if not words or PurePath(words[0]).name != "ldapsearch":
        raise Unsuitable("does not begin with ldapsearch, which is all that is understood here")
    if any(word[0] in _SHELL for word in words if word):
        raise Unsuitable("is more than one command: no shell is here to run pipes and the like")
    return words


def _without_lost_host(words: list[str]) -> list[str]:
    """The words without a -h that is followed by the next option instead of a host."""
    kept = []
    for word, following in zip(words, [*words, "-"][1:], strict=True):
        if word != "-h" or not following.startswith("-"):
            kept.append(word)
    return kept


def _check_fixed(given: dict[str, str]) -> None:
    if given.get("-s", "sub") not in _SCOPES:
        raise Unsuitable(f"has a scope (-s) that is none of {', '.join(_SCOPES)}")
    if given.get("-P", "3") != "3":
        raise Unsuitable("asks for another version of LDAP (-P) than 3")
    if not given.get("-E", "pr=").removeprefix("!").startswith("pr="):
        raise Unsuitable("has an extension (-E) other than pr=, which asks for pages")
    if not given.get("-o", "ldif").startswith(("ldif", "nettimeout")):
        raise Unsuitable("has an option (-o) other than ldif-wrap and nettimeout")


def _password_file(given: dict[str, str]) -> Path | None:
    written = given.get("-y")
    if not written:
        return None
    try:
        return a_path.read(written)
    except Unsuitable as wrong:
        raise Unsuitable(f"has a file of a password (-y) that {wrong}") from wrong


def _limit(given: dict[str, str], flag: str) -> int:
    written = given.get(flag, "0")
    if written in {"none", "max"}:
        return 0
    if not (written.isascii() and written.isdigit()):
        raise Unsuitable(f"has a limit ({flag}) that is no whole number")
    if len(written) > len(str(_HIGHEST_LIMIT)) or int(written) > _HIGHEST_LIMIT:
        raise Unsuitable(f"has a limit ({flag}) above {_HIGHEST_LIMIT}")
    return int(written)


def _servers(given: dict[str, str]) -> tuple[LdapServer, ...]:
    if "-H" in given:
        return _read_servers(given["-H"])
    host, port = given.get("-h"), given.get("-p", "389")
    if not (port.isascii() and port.isdigit()):
        raise Unsuitable("has a port (-p) that is no number")
    if not host:
        return ()
    where = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return _read_servers(f"ldap://{where}:{port}")


def _read_servers(written: str) -> tuple[LdapServer, ...]:
    return tuple(_read_server(one) for one in written.replace(",", " ").split())


def _read_server(written: str) -> LdapServer:
    found = _SERVER.fullmatch(written)
    if found is None:
        raise Unsuitable("has an address that is no ldap://host, ldaps://host:port or ldapi://path")
    scheme = found["scheme"].lower()
    port = int(found["port"] or _PORTS[scheme])
    host = unquote(found["host"]).strip("[]")
    if not host or port > _HIGHEST_PORT or (scheme == "ldapi") != host.startswith("/"):
        raise Unsuitable("has an address without a host, or with a port that there is not")
    return LdapServer(scheme, host, port)


line: Final[Kind[LdapSearch]] = Kind(
    "an ldapsearch line, such as ldapsearch -x -H ldaps://ldap.example.test -D cn=tashi,dc=example "
    "-y /etc/tashi/ldap.password -b dc=example uidNumber=*",
    read,
    hidden=True,
)

servers: Final[Kind[tuple[LdapServer, ...]]] = Kind(
    "one address or several with spaces between, such as ldaps://ldap.example.test",
    _read_servers,
    lambda several: " ".join(map(str, several)),
)
