"""A host changes its backend while it is empty: what one began the other would take for gone."""

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.places import Places, Premises
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.domain.engine import QEMU
from tashi.domain.errors import Misconfigured


def check_backend(premises: Premises, backend: str) -> None:
    """Raise Misconfigured when there may be guests here that another backend has begun."""
    names = (entry.name for entry in premises.info.iterdir() if entry.name.isdigit())
    found = sorted(int(name) for name in names if _is_of_another(name, premises, backend))
    if found:
        instances = ", ".join(map(str, found))
        raise Misconfigured(
            f"Guests of instances {instances} are here that another vmm of [NodeManager] began: "
            "set that one again, empty this host (drain), and change it then."
        )


def _is_of_another(name: str, premises: Premises, backend: str) -> bool:
    folder = GuestFolder(Places(premises.info / name))
    record = folder.read()
    if record is None or record.hardware is None:
        return backend != QEMU and folder.is_held()
    over = record.ending is not None or record.move is Move.LEFT
    return record.hardware.backend != backend and not over
