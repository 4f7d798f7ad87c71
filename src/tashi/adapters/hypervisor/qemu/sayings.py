"""What a QEMU has said, in words of ours."""

from contextlib import suppress
from typing import Final

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.qmp import Details

_LOG_BYTES: Final = 600


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


def disk_trouble(details: Details) -> str:
    """What a guest that stands still for it cannot do with a disk."""
    disk = details.get("node-name") or details.get("device")
    return f"It cannot {details.get('operation')} {disk}: {details.get('reason')}."
