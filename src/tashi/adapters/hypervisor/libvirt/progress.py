"""How far a save or a move is, made of what libvirt tells of its job: pure."""

from collections.abc import Mapping
from typing import Any, Final

from tashi.adapters.hypervisor.qemu.progress import in_mib
from tashi.domain.guest import Progress

_PAGE_BYTES: Final = 4096

Told = Mapping[str, Any]
"""By libvirt's own names: virDomainGetJobStats."""


def progress_of(told: Told) -> Progress | None:
    """What libvirt tells of a job, if it tells anything."""
    total = told.get("data_total", 0)
    if not total:
        return None
    left = told.get("data_remaining", 0)
    words = "disks and memory" if told.get("disk_total") else "memory"
    if rate := told.get("memory_dirty_rate"):
        words += f", dirtied at {in_mib(rate * told.get('memory_page_size', _PAGE_BYTES))}/s"
    moved = told.get("memory_bps", 0) + told.get("disk_bps", 0)
    return Progress(done=max(0, total - left), total=total, rate=float(moved), words=words)
