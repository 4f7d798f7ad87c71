"""The target's end of a move: a QEMU that waits, is filled, and stands still until it may run.

There is a door before there is a QEMU, so that the source can be told where it is, and can get
ready, while QEMU does. Whoever comes early waits at the door, and is let in later, or is told why
not. The door is kept in the reactor's thread until the source has come for the memory; from then
on it is QEMU that holds both lines, and a node manager that ends takes nothing with it but the
source's word that the guest has left (see `word`).

A QEMU that waits for a guest leaves persistent disks unlocked until it runs (late-block-activate),
so a move that fails at the last moment leaves them to the source. Whatever else goes wrong while it
receives, QEMU ends itself.
"""

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.lines import listen_for
from tashi.adapters.hypervisor.qemu.moves import (
    LET_IN,
    TURNED_AWAY,
    Door,
    crossing_disks,
    write_door,
)
from tashi.adapters.hypervisor.qemu.papers import End
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.qemu.word import answer, hear, is_heard, pledged
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import GuestSpec

_CAPABILITIES: Final = ("events", "return-path", "late-block-activate")
_LOG: Final = logging.getLogger(__name__)
_SOCKET: Final = "disks"
_LINE: Final = "memory"
_KEY_SECONDS: Final = 5.0
_ON_ITS_WAY_SECONDS: Final = 10.0
_ARRIVING: Final = "inmigrate"
_ARRIVED: Final = "completed"
"""The last that QEMU says of a migration, before the source's QEMU says so, too."""
ANNOUNCEMENTS: Final = {"initial": 50, "max": 550, "rounds": 5, "step": 100}
"""How often the network is told where the guest is now, and after how many milliseconds each."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A door, and what listens behind it: for the memory, and for disks if any cross."""

    door: Door
    memory: socket.socket
    disks: socket.socket | None

    @property
    def text(self) -> str:
        """Where the guest is to be sent."""
        return write_door(self.door)

    def close(self) -> None:
        """Let nobody come any more."""
        self.memory.close()
        self.leave_disks()

    def leave_disks(self) -> None:
        """Let go of the port for disks; a QEMU that was handed it goes on listening."""
        if self.disks is not None:
            self.disks.close()


@dataclass(frozen=True, slots=True)
class Receiving:
    """Receives guests; `road` says where other machines reach this one."""

    road: Road
    reactor: Reactor
    on_step: Steps

    @contextmanager
    def entrance(self, spec: GuestSpec, peer: str) -> Iterator[Entrance]:
        """A door to that machine, at which nobody is let in before `welcome`.

        Raises HypervisorFailed. When that is raised in the context, who comes is told why.
        """
        made = _entrance(self.road.address, spec, peer)
        try:
            yield made
        except HypervisorFailed as failed:
            made.leave_disks()
            self.reactor.begin(_turn_away(made, failed.message))
            raise
        except BaseException:
            made.close()
            raise

    def furnish(self, guest: Guest, entrance: Entrance) -> None:
        """Have a QEMU that has just been started wait for its guest; raises HypervisorFailed."""
        capabilities = [{"capability": one, "state": True} for one in _CAPABILITIES]
        guest.ask("migrate-set-capabilities", capabilities=capabilities)
        self.road.prepare(guest, End.TARGET)
        if entrance.disks is not None:
            guest.hand(_SOCKET, entrance.disks.fileno())
            place = {"type": "fd", "data": {"str": _SOCKET}}
            guest.ask("nbd-server-start", addr=place, **self.road.of_server())
            entrance.leave_disks()
            _offer_disks(guest, entrance.door)
        guest.stand_by()

    def welcome(self, guest: Guest, entrance: Entrance) -> None:
        """Let the source in, and wait for its word that the guest has left."""
        guest.accompany(self._keep_door(guest, entrance.memory, entrance.door))

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


def _entrance(address: str, spec: GuestSpec, peer: str) -> Entrance:
    memory = listen_for(peer, address)
    try:
        disks = listen_for(peer, address) if crossing_disks(spec) else None
    except BaseException:
        memory.close()
        raise
    door = Door(
        address,
        memory.getsockname()[1],
        key=secrets.token_hex(16),
        disks=0 if disks is None else disks.getsockname()[1],
        pledge=secrets.token_hex(16),
    )
    return Entrance(door, memory, disks)


async def _turn_away(entrance: Entrance, words: str) -> None:
    """Tell the source, which may be on its way already, why its guest is not received."""
    with entrance.memory, suppress(TimeoutError):
        async with asyncio.timeout(_ON_ITS_WAY_SECONDS):
            line, _ = await _first_source(entrance.door, entrance.memory)
            with line, suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(line, TURNED_AWAY + words.encode())


def _offer_disks(guest: Guest, door: Door) -> None:
    for disk in crossing_disks(guest.record.spec):
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
