"""TAPs for domains: libvirtd opens them by their names, so they have to be there without us.

The networks make TAPs that are gone with whoever has them open. Such a TAP is made to stay until
its guest has ended; what a crash leaves of them is found by their names.
"""

import fcntl
import os
import re
import socket
import struct
from collections.abc import Collection, Iterable
from logging import getLogger
from typing import Final

from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.network import Plug, Tap, tap_name

_log = getLogger(__name__)

_NAME: Final = re.compile(r"tashi(\d+)\.\d+\Z")
_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_TUNSETPERSIST: Final = 0x400454CB
_TAP_WITH_HEADERS: Final = 0x0002 | 0x1000 | 0x4000
"""IFF_TAP, IFF_NO_PI, IFF_VNET_HDR: as they were made."""


def keep(plugs: Iterable[Plug]) -> None:
    """Have these TAPs stay when they are closed; raises HypervisorFailed."""
    try:
        for plug in plugs:
            if isinstance(plug, Tap):
                fcntl.ioctl(plug.descriptor, _TUNSETPERSIST, 1)
    except OSError as error:
        raise HypervisorFailed(f"A TAP cannot be kept for libvirt: {error.strerror}.") from error


def remove_all_but(living: Collection[InstanceId]) -> None:
    """Remove the TAPs of guests that do not live; raises HypervisorFailed if one is left."""
    left = []
    for _, name in socket.if_nameindex():
        of_a_guest = _NAME.match(name)
        if of_a_guest and InstanceId(int(of_a_guest[1])) not in living:
            try:
                _remove(name)
            except OSError as error:
                left.append(f"{name} ({error.strerror})")
    if left:
        raise HypervisorFailed(f"TAPs of guests that have ended are left: {', '.join(left)}.")


def remove(guest: InstanceId, number: int) -> None:
    """Remove the TAP of a card that is not in; harmless when there is none.

    One that is in use is left until its guest has ended.
    """
    name = tap_name(guest, number)
    if name in {there for _, there in socket.if_nameindex()}:
        try:
            _remove(name)
        except OSError as error:
            _log.warning("The TAP %s is left: %s.", name, error.strerror)


def _remove(name: str) -> None:
    """Remove a TAP that nobody has open; raises OSError."""
    descriptor = os.open(_TUN, os.O_RDWR)
    try:
        request = struct.pack("16sH22x", name.encode(), _TAP_WITH_HEADERS)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 0)
    finally:
        os.close(descriptor)
