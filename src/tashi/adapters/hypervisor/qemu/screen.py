"""A guest's display, shown over VNC while somebody wants to look.

Every QEMU has a VNC server that listens nowhere and wants a password. QEMU itself keeps address and
password, so a node manager that is started again changes nothing; a move ends it.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import Screen

FIRST_PORT: Final = 5900
LAST_PORT: Final = 5999


class _Server(msgspec.Struct):
    host: str
    service: str
    family: str


class _Vnc(msgspec.Struct):
    server: list[_Server] = []


@dataclass(frozen=True, slots=True)
class Screens:
    """Shows displays on that address of this machine."""

    address: str

    def show(self, guest: Guest, password: str, *, on_socket: bool) -> Screen:
        """Let whoever has the password look; raises HypervisorFailed."""
        self.hide(guest)
        # First the password: at no moment may anybody look without it.
        guest.ask("set_password", protocol="vnc", password=password)
        socket = guest.folder.places.screen
        place = (
            {"type": "unix", "path": str(socket)}
            if on_socket
            else {"type": "inet", "host": self.address, "port": str(FIRST_PORT), "to": LAST_PORT}
        )
        guest.ask("display-update", type="vnc", addresses=[place])
        if on_socket:
            socket.chmod(PRIVATE_FILE)
            return Screen(socket=str(socket))
        return _where(guest)

    def hide(self, guest: Guest) -> None:
        """Listen nowhere; raises HypervisorFailed."""
        guest.ask("display-update", type="vnc", addresses=[])
        guest.folder.places.screen.unlink(missing_ok=True)


def _where(guest: Guest) -> Screen:
    told = msgspec.convert(guest.ask("query-vnc-servers"), list[_Vnc])
    for server in (one for vnc in told for one in vnc.server):
        if server.service.isdecimal():
            return Screen(address=server.host, port=int(server.service))
    raise HypervisorFailed("QEMU does not say where it shows the display.")
