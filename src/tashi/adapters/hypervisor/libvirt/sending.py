"""The source's end of a move: libvirt moves the domain, through the target's door.

    knock at the target's door: libvirt's own line is led to the target's libvirtd
    libvirt copies disks and memory through lines of the same kind, and ends the domain here
    the domain stands still there, until it is told to run
    write down that the guest has left, and say so to the target's node, which lets it run

The word that it has left is drawn here, and pledged by its hash when the door is knocked at: until
it is said nobody else knows it, so whoever hears it hears the truth.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import libvirt
import msgspec

from tashi.adapters.hypervisor.libvirt.channel import Channel, Domain
from tashi.adapters.hypervisor.libvirt.doing import Doing
from tashi.adapters.hypervisor.libvirt.domain_xml import disk_targets
from tashi.adapters.hypervisor.libvirt.door import WORD_BYTES, Door, Sign, hashed, read_door
from tashi.adapters.hypervisor.libvirt.guest import Guest, Surroundings
from tashi.adapters.hypervisor.libvirt.jobs import carry_out
from tashi.adapters.hypervisor.libvirt.link import Call
from tashi.adapters.hypervisor.libvirt.relay import Line, Way, hang_up, lead
from tashi.adapters.hypervisor.libvirt.relocation import relocated
from tashi.adapters.hypervisor.qemu.departing import Departures, see_off
from tashi.adapters.hypervisor.qemu.moves import crossing_disks
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.domain.errors import HypervisorFailed

_log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0
_COPIES: Final = "migration-"
_FLAGS: Final = (
    libvirt.VIR_MIGRATE_LIVE
    # It runs there only when it is written down that it has left here.
    | libvirt.VIR_MIGRATE_PAUSED
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    # libvirt wants disks without the host's cache; QEMU itself leaves none of that behind.
    | libvirt.VIR_MIGRATE_UNSAFE
)


class _Node(msgspec.Struct, rename="kebab"):
    node_name: str


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends guests that way."""

    way: Way
    around: Surroundings
    departures: Departures

    def send(self, guest: Guest, incoming: str) -> None:
        """Move the guest to the door that the text names; it has left when this returns.

        Raises HypervisorFailed; the guest then runs on here, unless it has ended.
        """
        door = read_door(incoming)
        word = secrets.token_hex(WORD_BYTES // 2).encode()
        with self.departures.turn(guest, incoming) as deadline:
            see_off(
                guest,
                lambda: self._move(guest, door, word, deadline),
                lambda: self._promise(guest),
                lambda: self.end(guest),
            )
            self._say(door, word)
        self.departures.on_step("told")

    def end(self, guest: Guest) -> bool:
        """What became of a move that is over: whether the guest has left; if not, it runs on here.

        Raises HypervisorFailed when that cannot be brought about.
        """
        doing = guest.what_it_does()
        if doing is Doing.MOVED:
            self._promise(guest)
            return True
        with suppress(OSError):
            guest.remember(lambda record: replace(record, move=None))
        if doing is Doing.STANDS:
            guest.unpause()
        return False

    def _move(self, guest: Guest, door: Door, word: bytes, deadline: float) -> None:
        if guest.frozen:
            raise HypervisorFailed("it stands still.")
        _clear_copies(guest)
        self.departures.note(guest)
        with guest.undisturbed(), self._tunnel(guest, door, word) as ours:
            theirs = _opened(f"qemu+unix://{door.libvirt}?socket={ours}")
            self.departures.on_step("let in")

            def migrate(domain: Domain) -> None:
                wishes = _wishes(guest, domain, door)
                theirs.use(lambda connection: domain.migrate3(connection, *wishes))

            try:
                carry_out(guest, migrate, deadline, self.departures.limit_seconds)
            finally:
                theirs.give_up()
            guest.is_to_end()
        self.departures.on_step("completed")

    @contextmanager
    def _tunnel(self, guest: Guest, door: Door, word: bytes) -> Iterator[Path]:
        """Have the target's sockets here, for as long as this lasts; that of its libvirtd."""
        ours = guest.folder.places.folder / "peer.sock"
        led = {ours: (Sign.LIBVIRTD, hashed(word))}
        if not door.shown.exists():
            led |= {door.memory: (Sign.MEMORY, b""), door.disks: (Sign.DISKS, b"")}
        # Who is not let in is told so here, in our words and not libvirt's.
        first = self.around.reactor.call(self.way.call(door, Sign.LIBVIRTD, hashed(word)))
        gate = Gate(self.way, door, led, first)
        self.around.reactor.call(gate.open())
        try:
            yield ours
        finally:
            self.around.reactor.call(gate.close())

    def _promise(self, guest: Guest) -> None:
        """Write down, to outlive a power cut, that the guest never runs here again."""
        try:
            guest.remember(lambda record: replace(record, move=Move.LEFT), durably=True)
        except OSError as error:
            # Its domain is gone from here, and nobody makes another: it has left all the same.
            _log.warning("That instance %d has left is not written down: %s.", guest.id, error)
        self.departures.on_step("left")

    def _say(self, door: Door, word: bytes) -> None:
        """Say to the target's node that the guest has left; that may fail."""
        if door.takes_word:
            try:
                self.around.reactor.call(self._said(door, word))
            except HypervisorFailed as failed:
                _log.info("Whether the target has heard that a guest left: %s", failed)

    async def _said(self, door: Door, word: bytes) -> None:
        line = await self.way.call(door, Sign.WORD)
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                line[1].write(word)
                await line[0].readexactly(1)
        await hang_up([line])


class Gate:
    """Sockets of this machine that lead to those of the target's; in the reactor's thread."""

    def __init__(
        self, way: Way, door: Door, led: dict[Path, tuple[Sign, bytes]], first: Line
    ) -> None:
        self._way = way
        self._door = door
        self._led = led
        self._first: Line | None = first
        self._servers: list[asyncio.Server] = []
        self._lines: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        for path, (sign, more) in self._led.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._leading(sign, more), path)
            self._servers.append(server)

    async def close(self) -> None:
        """Listen no more, and cut what is left."""
        for server in self._servers:
            server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)
        if self._first is not None:
            await hang_up([self._first])
        for path in self._led:
            path.unlink(missing_ok=True)

    def _leading(
        self, sign: Sign, more: bytes
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = asyncio.ensure_future(self._lead((reader, writer), sign, more))
            self._lines.add(line)

        return begin

    async def _lead(self, line: Line, sign: Sign, more: bytes) -> None:
        try:
            if sign is Sign.LIBVIRTD and self._first is not None:
                other, self._first = self._first, None
            else:
                other = await self._way.call(self._door, sign, more)
        except HypervisorFailed as failed:
            _log.warning("A line to %s was not made: %s", self._door.address, failed)
            await hang_up([line])
            return
        await lead(line, other)


def _clear_copies(guest: Guest) -> None:
    """Remove what is left in QEMU of the copying of disks; raises HypervisorFailed.

    A libvirtd (9.0) that is killed when it has just ended the copying forgets that, and with it
    QEMU begins no other.
    """
    nodes = msgspec.convert(guest.ask("query-named-block-nodes", flat=True), list[_Node])
    for name in sorted(node.node_name for node in nodes if node.node_name.startswith(_COPIES)):
        _log.info("Instance %d: removing %s, which an earlier move has left.", guest.id, name)
        guest.ask("blockdev-del", **{"node-name": name})


def _opened(uri: str) -> Channel:
    """A connection to the target's libvirtd; raises HypervisorFailed."""
    opening = Call(lambda: Channel(libvirt.open(uri)))
    if not opening.is_over(_ANSWER_SECONDS * 2):
        raise HypervisorFailed("the target's libvirtd does not answer.")
    return opening.result()


def _wishes(guest: Guest, domain: Domain, door: Door) -> tuple[dict[str, object], int]:
    """How libvirt is to move a domain, and its flags."""
    record = guest.record
    described = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
    wishes: dict[str, object] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{door.memory}",
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: relocated(described, door.folders, record.spec.attempt),
    }
    crossing = set(crossing_disks(record.spec))
    if not crossing:
        return wishes, _FLAGS
    wishes[libvirt.VIR_MIGRATE_PARAM_DISKS_URI] = f"unix://{door.disks}"
    wishes[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [
        target for target, name in disk_targets(record.spec).items() if name in crossing
    ]
    return wishes, _FLAGS | libvirt.VIR_MIGRATE_NON_SHARED_INC
