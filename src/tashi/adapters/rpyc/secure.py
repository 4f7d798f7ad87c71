"""A connected socket that speaks TLS, with the few methods that a channel or a line uses.

It never waits: what cannot go on raises BlockingIOError, as a plain socket does. It may be read
and written by two threads at once, which OpenSSL alone does not stand. Nothing is ever left inside
it unseen: a whole record is read or none, so that epoll, which sees only the kernel's buffer, tells
the whole truth.
"""

import select
import socket
import ssl
import threading
from typing import Final

from tashi.domain.proofs import Certificate

RECORD: Final = 16384
"""The most that one record of TLS holds."""

_OTHER_AUTHORITY: Final = frozenset((2, 18, 19, 20, 21))
_OTHER_NAME: Final = frozenset((62, 64))
_NOT_YET, _EXPIRED, _PURPOSE = 9, 10, 26

_ALERTS: Final = {
    "UNKNOWN_CA": "it does not accept our certificate, which is of another authority than its own",
    "CERTIFICATE_EXPIRED": "it does not accept our certificate, which has expired",
    "CERTIFICATE_REQUIRED": "it asks for a certificate, and there is none here to show",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "it does not accept our certificate for this purpose",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "PROTOCOL_VERSION": "it does not speak TLS 1.3",
    "UNSUPPORTED_PROTOCOL": "it does not speak TLS 1.3",
    "NO_SHARED_CIPHER": "it shares no cipher of TLS 1.3",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: is authAndEncrypt set there?",
    "HTTP_REQUEST": "it speaks HTTP",
}


class NotAgreed(OSError):
    """The two ends do not agree on a secure connection; the sentence says why."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

    def __str__(self) -> str:
        return self.words


class Secured:
    """One end of a TLS connection; owns the socket it is given."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, server_name: str | None = None
    ) -> None:
        """Serve on that socket, or call the server of that name."""
        sock.setblocking(False)
        self._ssl = context.wrap_socket(
            sock,
            server_side=server_name is None,
            server_hostname=server_name,
            do_handshake_on_connect=False,
        )
        self._serves = server_name is None
        self._name = server_name or ""
        self._lock = threading.Lock()

    def shake(self) -> int:
        """Go on with the handshake: 0 once it is done, else what poll should watch for.

        Raises NotAgreed, or the OSError of a connection that is lost.
        """
        try:
            with self._lock:
                self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return select.POLLIN
        except ssl.SSLWantWriteError:
            return select.POLLOUT
        except ssl.SSLError as wrong:
            raise NotAgreed(self._words(wrong)) from wrong
        except OSError as lost:
            if self._serves:
                raise
            raise NotAgreed("it closed the connection where TLS should begin") from lost
        return 0

    def proof(self) -> Certificate | None:
        """What the other end's certificate says of it; None when it showed none."""
        shown = self._ssl.getpeercert()
        if not shown:
            return None
        said = {key: str(value) for part in shown.get("subject", ()) for key, value in part}  # type: ignore[str-unpack]  # typeshed has the pairs as plain tuples
        return Certificate(
            said.get("organizationalUnitName", ""),
            said.get("commonName", ""),
            float(ssl.cert_time_to_seconds(str(shown["notAfter"]))),
        )

    def recv(self, size: int) -> bytes:
        """Take in what has come, whole records up to about `size` bytes; empty at the end."""
        got: list[bytes] = []
        taken = 0
        try:
            with self._lock:
                while taken < size:
                    one = self._ssl.read(RECORD)
                    got.append(one)
                    taken += len(one)
                    if len(one) < RECORD:  # most likely the last that is there; epoll knows better
                        break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not got:
                raise BlockingIOError from None
        except ssl.SSLError as wrong:
            if not got:
                raise NotAgreed(self._words(wrong)) from wrong
        return b"".join(got)

    def send(self, content: "bytes | bytearray | memoryview") -> int:
        """Send as much as goes now; after BlockingIOError the same bytes must come again."""
        sent = 0
        with memoryview(content) as view, self._lock:
            while sent < len(view):
                try:
                    with view[sent : sent + RECORD] as part:
                        sent += self._ssl.write(part)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    break
                except ssl.SSLError as wrong:
                    raise NotAgreed(self._words(wrong)) from wrong
            if view and not sent:
                raise BlockingIOError
        return sent

    def discard(self) -> bool:
        """Throw away what comes, encrypted as it is; False once nothing more will."""
        try:
            while got := socket.socket.recv(self._ssl, RECORD):
                del got
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._ssl.fileno()

    def setsockopt(self, level: int, option: int, value: "int | bytes") -> None:
        """As a socket does."""
        self._ssl.setsockopt(level, option, value)

    def shutdown(self, how: int) -> None:
        """End the connection without leaving TLS: whoever still reads gets no plain bytes."""
        socket.socket.shutdown(self._ssl, how)

    def close(self) -> None:
        """Give the descriptor back."""
        self._ssl.close()

    def _words(self, wrong: ssl.SSLError) -> str:
        if isinstance(wrong, ssl.SSLCertVerificationError):
            return self._about_certificate(wrong)
        reason = wrong.reason or ""
        for alert, words in _ALERTS.items():
            if reason.endswith(alert):
                return words
        if isinstance(wrong, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in reason:
            return "it closed the connection in the middle of TLS: is authAndEncrypt set there?"
        return f"TLS fails ({reason.replace('_', ' ').lower() or wrong})"

    def _about_certificate(self, wrong: ssl.SSLCertVerificationError) -> str:
        if wrong.verify_code in _OTHER_AUTHORITY:
            return "its certificate is of another authority than ours"
        if wrong.verify_code in _OTHER_NAME:
            return f"its certificate is not for {self._name}"
        if wrong.verify_code == _EXPIRED:
            return "its certificate has expired"
        if wrong.verify_code == _PURPOSE:
            return "its certificate is not for a server" if self._name else "its certificate is odd"
        if wrong.verify_code == _NOT_YET:
            return "its certificate is not valid yet: compare the clocks"
        return f"its certificate is not accepted ({wrong.verify_message})"
