"""How an LDAP directory is reached, and what is asked of it."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tashi.settings.ldapsearch import LdapServer


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LdapAccess:
    """What the settings come to; has no `repr`, because it holds a password.

    `timeout` is in seconds and for each request. `size_limit` is 0 for none, `time_limit` -1.
    """

    servers: tuple[LdapServer, ...]
    start_tls: bool = False
    ca_file: Path | None = None
    bind_dn: str = ""
    password: str = ""
    base: str = ""
    scope: str = "sub"
    filter: str = ""
    name_key: str = "uid"
    id_key: str = "uidNumber"
    page_size: int = 500
    size_limit: int = 0
    time_limit: int = -1
    timeout: float = 10.0
    admin_group: str = ""
    operator_group: str = ""

    @property
    def users_filter(self) -> str:
        """Which entries are users, in brackets."""
        if not self.filter:
            return f"(&({self.name_key}=*)({self.id_key}=*))"
        return self.filter if self.filter.startswith("(") else f"({self.filter})"

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is said, whichever server is asked."""
        return all(self.start_tls or _is_private(server) for server in self.servers)


def _is_private(server: LdapServer) -> bool:
    if server.scheme != "ldap" or server.host == "localhost":
        return True
    try:
        return ip_address(server.host).is_loopback
    except ValueError:
        return False
