"""What each program shows of itself and whom it believes, where authAndEncrypt is set.

Of `[Security] pkiDir` every daemon has a folder of its own, named after its role; people have
`~/.tashi/pki`. Nothing here is loaded by a program that talks without encryption.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tashi.adapters.pki.ending import end_of
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.papers import AUTHORITY, CERTIFICATE, Papers
from tashi.adapters.system.clock import SystemClock
from tashi.domain import metrics
from tashi.domain.errors import NotPermitted, Refused, TashiError
from tashi.domain.metrics import Reading
from tashi.domain.proofs import WARN_DAYS
from tashi.ports.workers import Workers
from tashi.settings.load import Settings
from tashi.settings.sections.security import SecuritySettings
from tashi.wire.calls import Calls

CLUSTER_MANAGER: Final = "clustermanager"
NODE_MANAGER: Final = "nodemanager"
SCHEDULER: Final = "scheduler"
AGENT: Final = "agent"

RENEWED_DAYS: Final = 365
_LOOK_EVERY_SECONDS: Final = 86400.0

if TYPE_CHECKING:
    from tashi.adapters.pki.authority import Lasts

_log = logging.getLogger(__name__)


def folder_of(settings: Settings, role: str) -> Path:
    """Where a daemon of that role finds its certificate."""
    return settings.of(SecuritySettings).pki_dir / role


def papers(settings: Settings, role: str) -> Papers | None:
    """What a daemon shows; None where connections are plain. Raises Misconfigured.

    A cluster manager lets people in who show nothing, since they may log in by password.
    """
    if not settings.of(SecuritySettings).auth_and_encrypt:
        return None
    return Papers(folder_of(settings, role), demanding=role != CLUSTER_MANAGER, shows=True)


def towards(shown: Papers | None, role: str) -> Secrets | None:
    """With what to call whoever has that role."""
    return None if shown is None else Secrets(shown, role)


def persons(settings: Settings) -> Secrets | None:
    """With what the person who runs a client calls the cluster manager; raises Misconfigured."""
    security = settings.of(SecuritySettings)
    if not security.auth_and_encrypt:
        return None
    own = _own_folder()
    folder = own if own and (own / AUTHORITY).exists() else security.pki_dir
    return Secrets(Papers(folder), CLUSTER_MANAGER)


class Expiry:
    """Watches until when a daemon's certificate is good, and has it renewed in good time.

    Where the authority's key is, the daemon renews its own; elsewhere it has the cluster manager do
    it by `ask`, which is given the certificate and returns a fresh one (PEM). What cannot be done
    is said in the log, with the remedy, once a day until the end.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        workers: Workers,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        security = settings.of(SecuritySettings)
        self._watched = security.auth_and_encrypt
        self._authority = security.pki_dir
        self._folder = folder_of(settings, role)
        self._workers = workers
        self._ask = ask
        self._due = 0.0

    def tick(self) -> None:
        """Look once a day; what takes time is done by a worker."""
        if self._watched and time.monotonic() >= self._due:
            self._due = time.monotonic() + _LOOK_EVERY_SECONDS
            self._workers.run("certificate", self.look)

    def look(self) -> None:
        """Renew the certificate if it ends soon, or say why it was not."""
        words = warning(self._folder)
        if words is None:
            return
        try:
            lasts = self._renewed()
        except TashiError as error:
            _log.warning("%s. It was not renewed by itself: %s", words, error)
        else:
            _log.info(
                "The certificate in %s is renewed, until %s.",
                self._folder,
                f"{lasts.until:%Y-%m-%d}",
            )

    def readings(self) -> Iterator[Reading]:
        """When the certificate ends, for who watches."""
        from tashi.adapters.pki import authority

        lasts = authority.look(self._folder) if self._watched else None
        if lasts is not None:
            yield Reading(metrics.CERTIFICATE, lasts.until.timestamp())

    def _renewed(self) -> "Lasts":
        from tashi.adapters.pki import authority

        if self._ask is None or authority.has_key(self._authority):
            return authority.renew(self._authority, self._folder, RENEWED_DAYS, _now())
        fresh = self._ask(authority.held_in(self._folder).decode())
        return authority.put(self._folder, fresh.encode())


def asking(calls: Calls) -> Callable[[str], str]:
    """How a daemon has the cluster manager renew its certificate."""
    return lambda held: calls.call("renewCertificate", str, certificate=held)


def renewal(settings: Settings) -> Callable[[str, str], str] | None:
    """How the cluster manager renews others' certificates; None where there are none."""
    security = settings.of(SecuritySettings)
    if not security.auth_and_encrypt:
        return None

    def renew(held: str, whose: str) -> str:
        from tashi.adapters.pki import authority

        said = authority.said_by(held.encode())
        if f"{said.role} {said.name}" != whose:
            raise NotPermitted(f"That is the certificate of {said.role} {said.name}, not yours.")
        if said.days(_now()) > WARN_DAYS + 1:
            raise Refused(f"That certificate is good until {said.until:%Y-%m-%d}: it is too early.")
        fresh = authority.renewed(security.pki_dir, held.encode(), RENEWED_DAYS, _now())
        _log.info("The certificate of the %s %s is renewed.", said.role, said.name)
        return fresh.decode()

    return renew


def warning(folder: Path) -> str | None:
    """What to say about the certificate in that folder, if it ends within a month."""
    until = end_of(folder / CERTIFICATE)
    if until is None:
        return None
    left = (until - _now()) / timedelta(days=1)
    if left > WARN_DAYS:
        return None
    ends = "has expired" if left <= 0 else f"expires in {left:.0f} days"
    return (
        f"The certificate in {folder} {ends}, on {until:%Y-%m-%d}: renew it with tashi-admin "
        "renewCertificate on the machine of the authority"
    )


def warnings(settings: Settings) -> list[str]:
    """What to say about the certificates of this machine's daemons, and of who asks."""
    security = settings.of(SecuritySettings)
    if not security.auth_and_encrypt:
        return []
    daemons = (CLUSTER_MANAGER, NODE_MANAGER, SCHEDULER, AGENT)
    own = _own_folder()
    folders = [*(folder_of(settings, role) for role in daemons), *([own] if own else [])]
    return [f"{words}." for folder in folders if (words := warning(folder)) is not None]


def warning_to_person() -> str | None:
    """What to say about the certificate of who runs a client, if it ends within a month."""
    own = _own_folder()
    words = warning(own) if own else None
    return None if words is None else f"{words}."


def _own_folder() -> Path | None:
    try:
        return Path("~/.tashi/pki").expanduser()
    except RuntimeError:  # whoever has no home has no certificate there either
        return None


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().wall(), UTC)
