"""A guest's display, shown over VNC while somebody wants to look.

Every QEMU has a VNC server that listens nowhere and wants a password. QEMU itself keeps address and
password, so a node manager that is started again changes nothing; a move ends it.

Where the cluster encrypts, the server speaks nothing but TLS (VeNCrypt's X509Vnc), and shows the
node's certificate. Whether it can was decided when the guest started: one that cannot is shown on
this machine's loopback or a socket, and nowhere else.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Protocol

import msgspec

from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, GuestFolder
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import Screen

FIRST_PORT: Final = 5900
LAST_PORT: Final = 5999


_ENCRYPTED: Final = "vencrypt"


class _Server(msgspec.Struct):
    host: str
    service: str
    family: str


class _Vnc(msgspec.Struct):
    auth: str
    server: list[_Server] = []


class Shown(Protocol):
    """A guest whose QEMU can be asked."""

    folder: GuestFolder

    def ask(self, command: str, **arguments: object) -> object:
        """What the monitor answers; raises HypervisorFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Screens:
    """Shows displays on that address of this machine; `encrypts`, under TLS."""

    address: str
    encrypts: bool

    def show(self, guest: Shown, password: str, *, on_socket: bool) -> Screen:
        """Let whoever has the password look; raises HypervisorFailed."""
        self.hide(guest)
        tls = self.encrypts and _encrypts(guest)
        if self.encrypts and not (tls or on_socket or _is_loopback(self.address)):
            raise HypervisorFailed(
                "This guest's QEMU was started without TLS, so its display is not shown on "
                f"{self.address}: look with --socket, or stop the instance and start it again."
            )
        if tls:  # the certificate may have been renewed since it was read
            guest.ask("display-reload", **{"type": "vnc", "tls-certs": True})
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
            return Screen(socket=str(socket), tls=tls)
        return replace(_where(guest), tls=tls)

    def hide(self, guest: Shown) -> None:
        """Listen nowhere; raises HypervisorFailed."""
        guest.ask("display-update", type="vnc", addresses=[])
        guest.folder.places.screen.unlink(missing_ok=True)


def _encrypts(guest: Shown) -> bool:
    return all(vnc.auth == _ENCRYPTED for vnc in _servers(guest))


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ip_address(address).is_loopback
    return address == "localhost"


def _where(guest: Shown) -> Screen:
    for server in (one for vnc in _servers(guest) for one in vnc.server):
        if server.service.isdecimal():
            return Screen(address=server.host, port=int(server.service))
    raise HypervisorFailed("QEMU does not say where it shows the display.")


def _servers(guest: Shown) -> list[_Vnc]:
    return msgspec.convert(guest.ask("query-vnc-servers"), list[_Vnc])
