"""The target's end of a move: disks, TAPs and an open door; the domain comes through it.

The door is kept in the reactor's thread. It leads whoever has its key to libvirtd, which makes the
domain on the source's word, and to the sockets of that domain's QEMU. A node manager that ends
takes all that with it, and the move fails. The domain stands still when all of it has arrived, and
runs when the source's node has said the word that its guest has left, or by order.
"""

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Domain
from tashi.adapters.hypervisor.libvirt.door import (
    HASH_BYTES,
    KEY_BYTES,
    LET_IN,
    WORD_BYTES,
    Door,
    Sign,
    hashed,
    write_door,
)
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.launch import Launcher
from tashi.adapters.hypervisor.libvirt.link import Call, socket_of
from tashi.adapters.hypervisor.libvirt.relay import Line, Way, hang_up, lead
from tashi.adapters.hypervisor.qemu.lines import listen_for
from tashi.adapters.hypervisor.qemu.receiving import ANNOUNCEMENTS, accepted
from tashi.adapters.hypervisor.qemu.record import Move, Record, at_home
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import GuestSpec, Happening, News

_KEY_SECONDS: Final = 5.0
_SOCKET_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """Receives guests for the libvirtd of that URI."""

    way: Way
    launcher: Launcher
    uri: str
    tell: Callable[[News], None]
    on_step: Callable[[str], None]

    def open_door(self, spec: GuestSpec, peer: str) -> Guest:
        """Make ready for a guest from that machine; raises HypervisorFailed."""
        record = Record(spec=replace(spec, keep_disks=False), move=Move.RECEIVING)
        with self.launcher.made_ready(record) as (guest, _):
            self.launcher.bury(guest)
            listener = listen_for(peer, self.way.address)
            try:
                door = self._door(guest, listener.getsockname()[1])
                for path in (door.memory, door.disks):
                    path.unlink(missing_ok=True)
                door.shown.touch()
                guest.remember(lambda record: replace(record, incoming=write_door(door)))
            except BaseException:
                listener.close()
                raise
        guest.accompany(self.launcher.around.reactor.begin(self._keep_door(guest, listener, door)))
        guest.stand_by()
        return guest

    def run(self, guest: Guest) -> None:
        """Let the guest run here; raises HypervisorFailed when not all of it has arrived."""
        with guest.undisturbed():
            if guest.record.move is not Move.RECEIVING:
                return
            if not guest.of_domain_or_none(_has_arrived):
                raise HypervisorFailed("Not all of the guest has arrived.")
            self.on_step("arrived")
            seen = self.launcher.meet(guest)
            guest.of_domain(_resume)
            guest.settled, guest.frozen = True, False
            self.on_step("runs")
            # Where that cannot be written, whoever asks libvirt will find that it runs.
            with suppress(OSError):
                guest.remember(lambda _: at_home(seen))
        with suppress(HypervisorFailed):  # it has said so itself when all of it was there
            guest.ask("announce-self", **ANNOUNCEMENTS)

    def _door(self, guest: Guest, port: int) -> Door:
        folders = self.launcher.folders
        return Door(
            address=self.way.address,
            port=port,
            key=secrets.token_hex(KEY_BYTES // 2),
            libvirt=urlsplit(self.uri).path,
            info=str(folders.info),
            overlays=str(folders.overlays),
            images=str(folders.images),
            folder=str(guest.folder.places.folder),
        )

    async def _keep_door(self, guest: Guest, listener: socket.socket, door: Door) -> None:
        listener.setblocking(False)
        pledges: list[bytes] = []
        with listener:
            async with asyncio.TaskGroup() as lines:
                while True:
                    caller = await accepted(listener)
                    lines.create_task(self._serve(guest, caller, door, pledges))

    async def _serve(
        self, guest: Guest, caller: socket.socket, door: Door, pledges: list[bytes]
    ) -> None:
        """Lead one caller to where it wants to go; who does not say all of that is hung up on."""
        with suppress(OSError, EOFError, TimeoutError, ValueError):
            async with asyncio.timeout(_KEY_SECONDS):
                line = await self.way.take(caller)
            try:
                await self._attend(guest, line, door, pledges)
            finally:
                await hang_up([line])

    async def _attend(self, guest: Guest, line: Line, door: Door, pledges: list[bytes]) -> None:
        async with asyncio.timeout(_KEY_SECONDS):
            key = await line[0].readexactly(KEY_BYTES)
            if not hmac.compare_digest(key, door.key.encode()):
                return
            sign = Sign(await line[0].readexactly(len(Sign.WORD.value)))
            if sign is Sign.LIBVIRTD:
                pledges[:] = [await line[0].readexactly(HASH_BYTES)]
        if sign is Sign.WORD:
            await self._hear(guest, line, door, pledges)
        else:
            await self._lead(line, self._behind(door, sign))

    def _behind(self, door: Door, sign: Sign) -> Path:
        if sign is Sign.LIBVIRTD:
            return socket_of(self.uri)
        return door.memory if sign is Sign.MEMORY else door.disks

    async def _lead(self, line: Line, path: Path) -> None:
        try:
            async with asyncio.timeout(_SOCKET_SECONDS):
                other = await asyncio.open_unix_connection(path)
        except (OSError, TimeoutError) as error:
            _log.warning("A guest that is to come is not led to %s: %s.", path, error)
            return
        line[1].write(LET_IN)
        await lead(line, other)

    async def _hear(self, guest: Guest, line: Line, door: Door, pledges: list[bytes]) -> None:
        """Let the guest run if its source says the word that it has pledged."""
        line[1].write(LET_IN)
        async with asyncio.timeout(_KEY_SECONDS):
            word = await line[0].readexactly(WORD_BYTES)
        if not any(hmac.compare_digest(hashed(word), pledge) for pledge in pledges):
            return
        self.on_step("heard")
        try:
            await asyncio.wrap_future(Call(lambda: self.run(guest)).outcome)
        except HypervisorFailed as failed:
            _log.warning("Instance %d has arrived, but does not run yet: %s", guest.id, failed)
        else:
            self.on_step("goes on")
            arrived = News(
                guest.id,
                Happening.ARRIVED,
                incoming=write_door(door),
                running=guest.running,
            )
            self.tell(arrived)
            line[1].write(LET_IN)


def _has_arrived(domain: Domain) -> bool:
    """Whether the domain stands still with all that it had where it came from."""
    state, reason = domain.state()
    return (state, reason) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)


def _resume(domain: Domain) -> None:
    domain.resume()
