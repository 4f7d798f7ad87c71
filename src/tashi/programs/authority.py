"""The cluster's authority as tashi-admin works with it: its folder comes from the settings."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tashi.adapters.pki import authority
from tashi.adapters.system.clock import SystemClock
from tashi.client.certificates import Issued
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.security import SecuritySettings


class OurAuthority:
    """The authority in [Security] pkiDir of this machine."""

    def __init__(self) -> None:
        self._folder = load(Program.CLIENT, os.environ).of(SecuritySettings).pki_dir

    def begin(self) -> str:
        """Make the authority, and say in which folder."""
        authority.begin(self._folder, _now())
        return str(self._folder)

    def issue(
        self, role: str, name: str, addresses: Sequence[str], days: int, to: str | None
    ) -> Issued:
        """Give out a certificate, into `to` or where programs of this machine look."""
        folder = Path(to) if to else self._usual(role, name)
        lasts = authority.issue(
            self._folder, authority.Wanted(role, name, addresses, days), folder, _now()
        )
        return Issued(lasts.role, lasts.name, str(folder), lasts.until)

    def renew(self, folder: str, days: int) -> Issued:
        """Replace the certificate in a folder by a fresh one."""
        lasts = authority.renew(self._folder, Path(folder), days, _now())
        return Issued(lasts.role, lasts.name, folder, lasts.until)

    def _usual(self, role: str, name: str) -> Path:
        return self._folder / "users" / name if role == "user" else self._folder / role


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().wall(), UTC)
