"""What a program shows of itself, and whom it believes: certificates and keys from a folder.

A folder holds `ca-cert.pem`, and, unless its owner has nothing to show, `client-cert.pem` and
`client-key.pem`: the names that QEMU looks for as well. One context for each side is made and used
for every connection, since making one costs more than a handshake. When the files change, the next
connection uses what is new: nobody restarts a daemon for a certificate. Files that cannot be used
are complained of, and the old ones serve on.
"""

import logging
import ssl
import threading
import time
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured

AUTHORITY: Final = "ca-cert.pem"
CERTIFICATE: Final = "client-cert.pem"
KEY: Final = "client-key.pem"
LOOK_EVERY_SECONDS: Final = 5.0

_Stamp = tuple[tuple[int, int], ...]

log = logging.getLogger("tashi.rpyc")


class Papers:
    """The certificates of one program; safe to share between threads."""

    def __init__(self, folder: Path, *, demanding: bool = False, shows: bool = False) -> None:
        """Read the folder; `demanding`, a server lets nobody in who shows no certificate.

        With `shows` there must be something to show; without, there need not.

        Raises Misconfigured when something is missing or cannot be used.
        """
        self._folder = folder
        self._demanding = demanding
        self._shows = shows
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._looked = time.monotonic()
        self._server, self._client = self._made()

    def server(self) -> ssl.SSLContext:
        """For those who call us."""
        self._renew()
        return self._server

    def client(self) -> ssl.SSLContext:
        """For those whom we call."""
        self._renew()
        return self._client

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_SECONDS or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = now
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._server, self._client = self._made()
            log.info("The certificate in %s has changed and is used from now on.", self._folder)
        except Misconfigured as wrong:
            log.error("%s The one that was there serves on.", wrong)  # noqa: TRY400  # a sentence says it all
        finally:
            self._lock.release()

    def _stamped(self) -> _Stamp:
        stamps = []
        for name in (AUTHORITY, CERTIFICATE, KEY):
            try:
                found = (self._folder / name).stat()
            except OSError:
                stamps.append((0, 0))
            else:
                stamps.append((found.st_ino, found.st_mtime_ns))
        return tuple(stamps)

    def _made(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.verify_mode = ssl.CERT_REQUIRED if self._demanding else ssl.CERT_OPTIONAL
        server.num_tickets = 0  # connections last; nobody comes back with a ticket
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.hostname_checks_common_name = False
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            self._trust(context)
            if self._shows or (self._folder / CERTIFICATE).exists():
                self._show(context)
        return server, client

    def _trust(self, context: ssl.SSLContext) -> None:
        path = self._folder / AUTHORITY
        try:
            context.load_verify_locations(path)
        except FileNotFoundError as wrong:
            raise Misconfigured(
                f"authAndEncrypt needs the certificate of the cluster's authority, and {path} does "
                "not exist: make it with tashi-admin initPki, or copy it from where that was done."
            ) from wrong
        except OSError as wrong:
            raise Misconfigured(f"{path} is no certificate that can be read: {_why(wrong)}.") from (
                wrong
            )

    def _show(self, context: ssl.SSLContext) -> None:
        certificate, key = self._folder / CERTIFICATE, self._folder / KEY
        for path in (certificate, key):
            try:
                path.open("rb").close()
            except FileNotFoundError as wrong:
                raise Misconfigured(
                    f"authAndEncrypt needs {path}, which does not exist: give this program a "
                    "certificate with tashi-admin issueCertificate."
                ) from wrong
            except OSError as wrong:
                raise Misconfigured(
                    f"{path} cannot be read ({wrong.strerror}): let its owner run this program."
                ) from wrong
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (ssl.SSLError, ValueError) as wrong:
            raise Misconfigured(
                f"{certificate} and {key} are no certificate and its key: {_why(wrong)}."
            ) from wrong


def _no_password() -> str:
    """Keys of daemons are not locked; without this OpenSSL would ask on the terminal."""
    raise ValueError("the key is locked with a password")


def _why(wrong: Exception) -> str:
    if isinstance(wrong, ssl.SSLError) and wrong.reason:
        return wrong.reason.replace("_", " ").lower()
    return getattr(wrong, "strerror", None) or str(wrong)
