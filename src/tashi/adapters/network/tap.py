"""A TAP device: a network card of the host whose cable ends in an open file.

Not persistent: the kernel removes it with the last process that has it open.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Final

from tashi.domain.errors import HypervisorFailed

LONGEST_NAME: Final = 15
"""How long the name of a network device may be."""

_log = getLogger(__name__)

_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000


def device_names() -> set[str]:
    """The names of all network devices of this machine."""
    return {name for _, name in socket.if_nameindex()}


@contextmanager
def tidied_after_failure(tidy: Callable[[], None]) -> Iterator[None]:
    """Call `tidy` when this fails; should that fail, too, only the log has it."""
    try:
        yield
    except BaseException:
        try:
            tidy()
        except HypervisorFailed as failed:
            _log.warning("What was made for a guest may be left: %s", failed)
        raise


@contextmanager
def opened_tap(name: str) -> Iterator[int]:
    """A new TAP of that name; whoever is to keep it inherits it meanwhile.

    Raises HypervisorFailed.
    """
    if len(name) > LONGEST_NAME:
        raise HypervisorFailed(f"{name} is too long a name for a network device.")
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
    descriptor = -1
    try:
        try:
            descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(descriptor, _TUNSETIFF, request)
        except OSError as error:
            raise HypervisorFailed(
                f"The TAP {name} cannot be made: {error.strerror}. It needs root and {_TUN}; "
                "without them, set network = user in [NodeManager]."
            ) from error
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)
