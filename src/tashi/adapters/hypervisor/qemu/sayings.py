"""What a QEMU has said, in words of ours."""

import re
from contextlib import suppress
from typing import Final

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.qmp import Details

_LOG_BYTES: Final = 600
_LOCKED_IMAGE: Final = re.compile(
    r'Failed to get (?:shared )?"\w+" lock(?:.*using the image \[(.+?)\])?', re.DOTALL
)


def last_words(folder: GuestFolder) -> str:
    """What a QEMU that is gone said last, on one line; nothing when it said nothing."""
    with suppress(OSError), folder.places.log.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _LOG_BYTES))
        return "; ".join(log.read().decode(errors="replace").split("\n")).strip("; .")
    return ""


def word_of(answer: object) -> str:
    """The member `status` of an answer or event."""
    return str(answer.get("status", "")) if isinstance(answer, dict) else ""


def disk_in_use(words: str, disk: str = "") -> str:
    """That somebody else has a disk, if that is what these words say; else nothing.

    Which it is stands in them where QEMU starts; elsewhere it is the `disk` that was asked for.
    """
    locked = _LOCKED_IMAGE.search(words)
    which = (locked[1] or disk) if locked else ""
    return which and f"Disk {which} is in use by another guest or program, which has locked it."


def disk_trouble(details: Details) -> str:
    """What a guest that stands still for it cannot do with a disk."""
    disk = details.get("node-name") or details.get("device")
    return f"It cannot {details.get('operation')} {disk}: {details.get('reason')}."
