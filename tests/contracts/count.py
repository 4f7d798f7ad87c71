"""A guest that counts, as its console shows it: whatever is done to it, no number is missing."""

from typing import Final

import boot_sectors
from contracts.machines import a_spec
from system.counting import until
from tashi.domain.identity import Attempt, InstanceId
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import GuestSpec, Hypervisor

COUNTS: Final = "count.img"
COUNTER: Final = InstanceId(7)
_A_FEW: Final = 10


def a_counter(attempt: int = 1, stored: str = "", *, persistent: bool = False) -> GuestSpec:
    """A guest that counts, on a disk that is made by `boot_sectors.count`."""
    disks = (Disk(COUNTS, persistent=persistent),)
    return a_spec(COUNTER, disks=disks, attempt=Attempt(attempt), stored=stored)


def said(hypervisor: Hypervisor) -> bytes:
    """All that it has said there."""
    return hypervisor.console(COUNTER, 0, 1 << 20)[0]


def numbers(hypervisor: Hypervisor) -> list[int]:
    """The numbers in that."""
    return boot_sectors.counted(said(hypervisor))


def let_count(hypervisor: Hypervisor) -> None:
    """Wait until it has said a few numbers more."""
    wanted = len(numbers(hypervisor)) + _A_FEW
    until(
        lambda: len(numbers(hypervisor)) >= wanted,
        lambda: f"It does not count: {said(hypervisor)[-200:]!r}",
    )
