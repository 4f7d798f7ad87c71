"""A connection that is encrypted outside and plain inside, for libraries whose own TLS will not do.

The libldap of Debian says of every certificate that it refuses "(unknown error code)", and waits
for a server that hangs in the handshake for ever. Here the handshake has a time limit, and what is
wrong with a certificate is said in words. The library speaks into one end of a pair of sockets; a
thread carries its bytes over the encrypted connection and back, for as long as both sides live.

StartTLS is RFC 4511, section 4.14: one request, one answer, and then TLS on the same connection.
Whatever a server sends along with its answer, before it is encrypted, is not believed.
"""

import select
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from tashi.domain.errors import DirectoryFailed

_PIECE: Final = 1 << 14
_EXPIRED: Final = 10
_NOT_YET: Final = 9
_OTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, …IP_ADDRESS_MISMATCH
_START_TLS: Final = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_LONGEST_ANSWER: Final = 1 << 12
_ANSWER, _LONG_FORM, _EXTENDED, _RESULT = 0x30, 0x80, 0x78, b"\x0a\x01"


class TlsPipe:
    """The two ends of an encrypted connection: the server's, and `end`, which is plain."""

    def __init__(self, server: ssl.SSLSocket) -> None:
        self.end, self._near = socket.socketpair()
        self._server = server
        self._thread = threading.Thread(target=self._carry, name="LDAP over TLS", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection, whatever is under way on it."""
        self.end.close()
        for each in (self._near, self._server):
            with suppress(OSError):
                # Not SSLSocket's own, which would take TLS away under the thread's feet.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._thread.join()

    def _carry(self) -> None:
        with self._near, self._server, suppress(OSError):
            while self._carry_once():
                pass

    def _carry_once(self) -> bool:
        # What TLS has already decrypted does not make its socket readable again.
        waiting = [self._server] if self._server.pending() else []
        ready = waiting or select.select([self._near, self._server], [], [])[0]
        for source, sink in ((self._near, self._server), (self._server, self._near)):
            if source in ready:
                piece = source.recv(_PIECE)
                if not piece:
                    return False
                sink.sendall(piece)
        return True


def encrypted(line: socket.socket, host: str, ca_file: Path | None) -> ssl.SSLSocket:
    """The line with TLS on it, once the server has proved that it is `host`; keeps its time-out.

    Raises DirectoryFailed with what is wrong with its certificate, and closes the line.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        line.close()
        raise DirectoryFailed(
            f"caFile in [LdapOverride] cannot be used: {ca_file} is no readable file of "
            f"certificates ({error.strerror or error})."
        ) from error
    try:
        return context.wrap_socket(line, server_hostname=host)
    except ssl.SSLCertVerificationError as wrong:
        line.close()
        raise DirectoryFailed(_what_is_wrong(wrong, host, ca_file)) from wrong
    except TimeoutError as silence:
        line.close()
        raise DirectoryFailed(f"The LDAP server {host} did not answer in TLS in time.") from silence
    except OSError as error:
        line.close()
        raise DirectoryFailed(
            f"The LDAP server {host} does not speak TLS there ({error.strerror or error})."
        ) from error


def start_tls(line: socket.socket, host: str) -> None:
    """Ask the server to go on in TLS; if not, raises DirectoryFailed and closes the line."""
    try:
        line.sendall(_START_TLS)
        agreed = _agrees(line)
    except OSError as error:
        line.close()
        raise DirectoryFailed(
            f"The LDAP server {host} did not answer StartTLS ({error.strerror or error})."
        ) from error
    if not agreed:
        line.close()
        raise DirectoryFailed(
            f"The LDAP server {host} refuses StartTLS: let it, or use ldaps:// if it has that."
        )


def _agrees(line: socket.socket) -> bool:
    tag, length = _exactly(line, 2)
    if length & _LONG_FORM:  # Active Directory writes every length in four bytes more
        length = int.from_bytes(_exactly(line, length & ~_LONG_FORM))
    if tag != _ANSWER or length > _LONGEST_ANSWER:
        return False
    # INTEGER messageID, then [APPLICATION 24] and its length, then ENUMERATED resultCode.
    answer = _exactly(line, length)
    at = answer.find(_RESULT, 4)
    return answer[3:4] == bytes([_EXTENDED]) and answer[at : at + 3] == _RESULT + b"\x00"


def _exactly(line: socket.socket, count: int) -> bytes:
    """The next bytes and not one more: what follows must be TLS."""
    got = b""
    while len(got) < count:
        piece = line.recv(count - len(got))
        if not piece:
            raise ConnectionResetError("it closed the connection")
        got += piece
    return got


def _what_is_wrong(wrong: ssl.SSLCertVerificationError, host: str, ca_file: Path | None) -> str:
    whose = f"The certificate of the LDAP server {host}"
    if wrong.verify_code == _EXPIRED:
        return f"{whose} has expired: it needs a new one."
    if wrong.verify_code == _NOT_YET:
        return f"{whose} is not valid yet: look at the clocks of both machines."
    if wrong.verify_code in _OTHER_NAME:
        return (
            f"{whose} is for another name: write the name that it is for into uri in "
            "[LdapOverride], or give the server one for this name."
        )
    whom = f"those in {ca_file}" if ca_file else "those that this system knows"
    return (
        f"{whose} is from no authority among {whom} ({wrong.verify_message}): name its "
        "authority's file as caFile in [LdapOverride]."
    )
