"""The target's end of a move: a QEMU that waits, is filled, and stands still until it may run.

Its door is kept in the reactor's thread until the source has come for the memory; from then on it
is QEMU that holds both lines, and a node manager that ends takes nothing with it but the source's
word that the guest has left (see `word`).

A QEMU that waits for a guest leaves persistent disks unlocked until it runs (late-block-activate),
so a move that fails at the last moment leaves them to the source. Whatever else goes wrong while it
receives, QEMU ends itself.
"""

import asyncio
import hmac
import logging
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.lines import listen_for
from tashi.adapters.hypervisor.qemu.moves import (
    LET_IN,
    Door,
    crossing_disks,
    set_capabilities,
    write_door,
)
from tashi.adapters.hypervisor.qemu.papers import End
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.qemu.word import answer, hear, is_heard, pledged
from tashi.domain.errors import HypervisorFailed

_CAPABILITIES: Final = ("events", "return-path", "late-block-activate")
_LOG: Final = logging.getLogger(__name__)
_SOCKET: Final = "disks"
_LINE: Final = "memory"
_KEY_SECONDS: Final = 5.0
_ARRIVING: Final = "inmigrate"
_ARRIVED: Final = "completed"
"""The last that QEMU says of a migration, before the source's QEMU says so, too."""
ANNOUNCEMENTS: Final = {"initial": 50, "max": 550, "rounds": 5, "step": 100}
"""How often the network is told where the guest is now, and after how many milliseconds each."""


@dataclass(frozen=True, slots=True)
class Receiving:
    """Receives guests; `road` says where other machines reach this one."""

    road: Road
    on_step: Steps

    def open_door(self, guest: Guest, peer: str) -> None:
        """Open a door to that machine for a QEMU that has just been started; its record says where.

        Raises HypervisorFailed.
        """
        set_capabilities(guest, _CAPABILITIES)
        self.road.prepare(guest, End.TARGET)
        listener = listen_for(peer, self.road.address)
        try:
            key, pledge = secrets.token_hex(16), secrets.token_hex(16)
            door = Door(self.road.address, listener.getsockname()[1], key, pledge=pledge)
            if disks := crossing_disks(guest.record.spec):
                port = self._start_server(guest, peer)
                door = msgspec.structs.replace(door, disks=port)
                _offer_disks(guest, door, disks)
            guest.remember(lambda record: replace(record, incoming=write_door(door)))
        except BaseException:
            listener.close()
            raise
        guest.accompany(self._keep_door(guest, listener, door))
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
        # Where that cannot be written, whoever asks QEMU will find that it runs.
        with suppress(OSError):
            guest.remember(lambda record: replace(record, move=None, incoming=""))
        guest.accompany(_announce(guest))
        guest.catch_up()

    def _start_server(self, guest: Guest, peer: str) -> int:
        """Start QEMU's NBD server on a socket of ours, which is open to that machine only."""
        with listen_for(peer, self.road.address) as listener:
            guest.hand(_SOCKET, listener.fileno())
            place = {"type": "fd", "data": {"str": _SOCKET}}
            guest.ask("nbd-server-start", addr=place, **self.road.of_server())
            port: int = listener.getsockname()[1]
            return port

    async def _keep_door(self, guest: Guest, listener: socket.socket, door: Door) -> None:
        """Let in the first who has the key, leave the line to QEMU, and wait for the word."""
        with listener:
            line, pledge = await _first_source(door, listener)
            with line, suppress(OSError):  # whoever called has gone again: QEMU will notice
                try:
                    await guest.give(_LINE, line.fileno())
                    await guest.request("migrate-incoming", uri=f"fd:{_LINE}")
                except HypervisorFailed as failed:
                    _LOG.warning("Instance %d cannot be received: %s", guest.id, failed)
                    return
                await asyncio.get_running_loop().sock_sendall(line, LET_IN)
            self.on_step("called")
            while pledge:
                with await _first_with(door.key.encode(), listener) as line:
                    if await is_heard(pledge, line):
                        listener.close()
                        if await self._runs_at_once(guest, door):
                            await answer(line)
                            await _announce(guest)
                        return

    async def _runs_at_once(self, guest: Guest, door: Door) -> bool:
        """Let the guest run, for its source's node has said that it left there; whether it does."""
        self.on_step("heard")
        if guest.migration != _ARRIVED:
            _LOG.warning("Instance %d has left, but is not known to be whole here.", guest.id)
            return False
        try:
            if door.disks:
                await guest.request("nbd-server-stop")
            await guest.set_off()
        except HypervisorFailed as failed:
            _LOG.warning("Instance %d has arrived, but does not run yet: %s", guest.id, failed)
            return False
        self.on_step("goes on")
        guest.come_home(write_door(door))
        return True


async def _announce(guest: Guest) -> None:
    """Tell the network where the guest is now."""
    with suppress(HypervisorFailed):  # it has said so itself when all of it was there
        await guest.request("announce-self", **ANNOUNCEMENTS)


def _offer_disks(guest: Guest, door: Door, disks: tuple[str, ...]) -> None:
    for disk in disks:
        name = door.export(disk)
        guest.ask(
            "block-export-add",
            **{"type": "nbd", "id": disk, "node-name": disk, "name": name, "writable": True},
        )


async def _first_source(door: Door, listener: socket.socket) -> tuple[socket.socket, bytes]:
    """The first who may come for the memory, and what it pledges."""
    listener.setblocking(False)
    while True:
        line = await accepted(listener)
        try:
            async with asyncio.timeout(_KEY_SECONDS):
                pledge = await pledged(door, line)
        except TimeoutError:
            pledge = None
        except BaseException:
            line.close()
            raise
        if pledge is not None:
            return line, pledge
        line.close()


async def _first_with(key: bytes, listener: socket.socket) -> socket.socket:
    while True:
        line = await accepted(listener)
        try:
            async with asyncio.timeout(_KEY_SECONDS):
                said = await hear(line, len(key))
        except TimeoutError:
            said = b""
        except BaseException:
            line.close()
            raise
        if hmac.compare_digest(said, key):
            return line
        line.close()


async def accepted(listener: socket.socket) -> socket.socket:
    """The next who calls. (The loop's own way loses the line when it is cancelled just then.)"""
    loop, calls = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listener, calls.set)
    try:
        while True:
            await calls.wait()
            calls.clear()
            with suppress(BlockingIOError):  # who called has hung up already
                line, _ = listener.accept()
                line.setblocking(False)
                return line
    finally:
        loop.remove_reader(listener)
