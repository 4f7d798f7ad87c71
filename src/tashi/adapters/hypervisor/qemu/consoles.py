"""The logs of consoles: what a guest says there has no end, and the node's notes lie beside it.

A guest's QEMU appends to its log and keeps it open. So a log that has become long stays the same
file, in which all but the last part is made a hole: that takes no room, whoever reads skips it, and
every place in the log stays where it was.
"""

from asyncio import sleep
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.disk_store import size_of
from tashi.adapters.hypervisor.qemu.guests import G, Guests
from tashi.domain.errors import CommandFailed
from tashi.ports.commands import Commands

_log = getLogger(__name__)

_LOOK_SECONDS: Final = 10.0
_SECONDS: Final = 10.0
_MIB: Final = 1 << 20
MOST: Final = 16 * _MIB
"""So much room may a log take; one that takes more is cut."""
KEPT: Final = 8 * _MIB
"""So much of it is left then, or a little more: holes are made of whole blocks."""


async def keep_short(guests: Guests[G], commands: Commands) -> None:
    """See to it for ever that no log of these guests takes up the disk."""
    while True:
        await sleep(_LOOK_SECONDS)
        guests.later(partial(_shorten_all, guests, commands))


def _shorten_all(guests: Guests[G], commands: Commands) -> None:
    for guest in guests.in_order():
        shorten(guest.folder.places.console_log, commands)


def shorten(log: Path, commands: Commands) -> None:
    """Keep the end of a log that takes too much room."""
    try:
        if size_of(log) <= MOST:
            return
        cut = (log.stat().st_size - KEPT) // _MIB * _MIB
        hole = ["fallocate", "--punch-hole", "--offset", "0", "--length", str(cut), str(log)]
        commands.run(hole, timeout_seconds=_SECONDS)
    except (CommandFailed, OSError) as error:
        _log.warning("The log %s grows and grows: %s", log, error)
