"""What a client keeps of a log-in: one file for each cluster, for its owner's eyes only."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from tashi.client.person import Ticket


class TicketFile:
    """Keeps the protocol `Pocket`; without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find(self) -> Ticket | None:
        """The ticket that was kept; None for none, or for one that others could have put there."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                    return None
                return msgspec.json.decode(file.read(), type=Ticket)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def keep(self, ticket: Ticket | None) -> None:
        """Keep a ticket in place of the one before; where there is no place, do without."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            if ticket is None:
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(ticket))
