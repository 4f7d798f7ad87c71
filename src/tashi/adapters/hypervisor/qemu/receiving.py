"""The target's end of a move: a QEMU that listens, is filled, and stands still until it may run.

A QEMU that waits for a guest leaves persistent disks unlocked until it runs (late-block-activate),
so a move that fails at the last moment leaves them to the source. Whatever else goes wrong while it
receives, QEMU ends itself.
"""

import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.moves import (
    Door,
    crossing_disks,
    set_capabilities,
    url_host,
    write_door,
)
from tashi.domain.errors import HypervisorFailed

_CAPABILITIES: Final = ("events", "return-path", "late-block-activate")
_SOCKET: Final = "disks"
_ARRIVING: Final = "inmigrate"
_ANNOUNCEMENTS: Final = {"initial": 50, "max": 550, "rounds": 5, "step": 100}
"""How often the network is told where the guest is now, and after how many milliseconds each."""


@dataclass(frozen=True, slots=True)
class Receiving:
    """Receives guests; `address` is where other machines reach this one."""

    address: str
    on_step: Steps

    def open_door(self, guest: Guest) -> None:
        """Let a QEMU that has just been started listen; its record says where.

        Raises HypervisorFailed.
        """
        set_capabilities(guest, _CAPABILITIES)
        disks = crossing_disks(guest.record.spec)
        disks_port = self._offer_disks(guest, disks) if disks else 0
        door = Door(self.address, self._listen(guest), disks_port)
        guest.remember(lambda record: replace(record, incoming=write_door(door)))
        guest.stand_by()

    def run(self, guest: Guest) -> None:
        """Let the guest run here; raises HypervisorFailed when not all of it has arrived."""
        status = guest.status()
        if status == _ARRIVING:
            raise HypervisorFailed("Not all of the guest has arrived.")
        if status != "running":
            with suppress(HypervisorFailed):  # it was stopped before, or never there
                guest.ask("nbd-server-stop")
            self.on_step("arrived")
            guest.begin()
            self.on_step("runs")
            guest.ask("announce-self", **_ANNOUNCEMENTS)
        guest.remember(lambda record: replace(record, move=None, incoming=""))
        guest.catch_up()

    def _offer_disks(self, guest: Guest, disks: tuple[str, ...]) -> int:
        port = self._start_server(guest)
        for disk in disks:
            guest.ask(
                "block-export-add",
                **{"type": "nbd", "id": disk, "node-name": disk, "name": disk, "writable": True},
            )
        return port

    def _start_server(self, guest: Guest) -> int:
        """Start QEMU's NBD server on a socket of ours: QEMU would not say which port it got."""
        try:
            with socket.create_server((self.address, 0), family=_family(self.address)) as listener:
                guest.hand(_SOCKET, listener.fileno())
                guest.ask("nbd-server-start", addr={"type": "fd", "data": {"str": _SOCKET}})
                port: int = listener.getsockname()[1]
                return port
        except OSError as error:
            raise HypervisorFailed(f"No port of {self.address} can be had: {error}.") from error

    def _listen(self, guest: Guest) -> int:
        guest.ask("migrate-incoming", uri=f"tcp:{url_host(self.address)}:0")
        answer = msgspec.convert(guest.ask("query-migrate"), _Listening)
        return int(answer.socket_address[0].port)


class _Address(msgspec.Struct):
    port: str


class _Listening(msgspec.Struct, rename="kebab"):
    socket_address: tuple[_Address, ...]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
