"""Taking a QEMU down, so that it is gone for certain when this returns.

First it is asked, so that it can write out what it holds of its disks; then it is killed. That it
is gone is told by the lock of its folder, whatever process held it, and where somebody may have
removed that, by the mark on its command line.
"""

import signal
import threading
import time
from typing import Final

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.process import is_there, root_out
from tashi.domain.errors import HypervisorFailed

_POLITE_SECONDS: Final = 2.0
_DEADLY_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.02


def end(folder: GuestFolder, guest: Guest | None) -> None:
    """End whatever QEMU this folder has; raises HypervisorFailed when it will not die.

    When it dies after all, that is news, unless it is noted that it was killed: whoever wants that
    asks again.
    """
    if guest is not None:
        guest.end(signal.Signals.SIGTERM)
        if not guest.ended.wait(_POLITE_SECONDS):
            guest.end(signal.Signals.SIGKILL)
            guest.ended.wait(_DEADLY_SECONDS)
    deadline = time.monotonic() + _DEADLY_SECONDS
    while not _is_gone(folder, guest):
        root_out(folder.places.pid_file, _DEADLY_SECONDS)
        if time.monotonic() > deadline:
            if guest is not None:
                guest.lives_on()
            raise HypervisorFailed(
                f"The QEMU in {folder.places.folder} does not die, though it was killed."
            )
        threading.Event().wait(_LOOK_AGAIN_SECONDS)


def _is_gone(folder: GuestFolder, guest: Guest | None) -> bool:
    if folder.is_held():
        return False
    return guest is None or guest.ended.is_set() or not is_there(folder.places.pid_file)
