"""The connection to an LDAP server, before the library speaks on it.

It is made here and handed to the library as an open socket, because only so has every part of it a
time limit; see `tls_pipe`. What is handed over is the library's: it closes it when it is told to
unbind.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tashi.adapters.users.ldap_access import LdapAccess
from tashi.adapters.users.tls_pipe import TlsPipe, encrypted, start_tls
from tashi.domain.errors import DirectoryFailed
from tashi.settings.ldapsearch import LdapServer


class Line:
    """An open connection to one server; the library makes its own where none is given."""

    def __init__(
        self, server: LdapServer, plain: socket.socket | None, pipe: TlsPipe | None = None
    ) -> None:
        self._server = server
        self._plain = plain
        self._pipe = pipe

    def library(self, initialize: Callable[..., Any]) -> Any:
        """What `ldap.initialize` makes of this line, which is the library's from then on."""
        if self._plain is None:
            return initialize(str(self._server))
        # To the library it is a plain connection, whatever is outside.
        return initialize("ldap://localhost", fileno=self._plain.detach())

    def close(self) -> None:
        """Hang up; the library has unbound, or was never asked."""
        if self._plain is not None:
            self._plain.close()
        if self._pipe is not None:
            self._pipe.close()


@contextmanager
def line_to_any_of(access: LdapAccess) -> Iterator[Line]:
    """A line to the first server that can be had; raises DirectoryFailed with the words of each."""
    line, refused = None, []
    for server in access.servers:
        try:
            line = _line_to(server, access)
            break
        except DirectoryFailed as error:
            refused.append(error.message)
    if line is None:
        raise DirectoryFailed(" ".join(refused))
    try:
        yield line
    finally:
        line.close()


def _line_to(server: LdapServer, access: LdapAccess) -> Line:
    if server.scheme == "ldapi":
        return Line(server, None)
    plain = _connected(server, access.timeout)
    if server.scheme == "ldap" and not access.start_tls:
        plain.settimeout(None)  # the library has its own ways to wait
        return Line(server, plain)
    if server.scheme == "ldap":
        start_tls(plain, server.host)
    pipe = TlsPipe(encrypted(plain, server.host, access.ca_file))
    return Line(server, pipe.end, pipe)


def _connected(server: LdapServer, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((server.host, server.port), timeout)
    except TimeoutError as silence:
        raise DirectoryFailed(
            f"The LDAP server {server} cannot be reached within {timeout:g} s."
        ) from silence
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can be called so
        raise DirectoryFailed(
            f"The LDAP server {server} cannot be reached "
            f"({getattr(error, 'strerror', None) or error})."
        ) from error
