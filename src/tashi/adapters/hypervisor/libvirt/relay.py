"""Lines between two machines that carry what libvirt and QEMU would say to each other.

In the reactor's thread. Where the cluster's connections are encrypted, each end shows its node's
certificate and believes only one that is for a node manager, the source besides only one that is
for the address it called.
"""

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from tashi.adapters.hypervisor.libvirt.door import LET_IN, Door, Sign
from tashi.adapters.hypervisor.qemu.lines import tune
from tashi.domain.errors import HypervisorFailed

_AT_ONCE: Final = 1 << 18
_SECONDS: Final = 10.0
_NODE: Final = (("organizationalUnitName", "nodemanager"),)

Line = tuple[StreamReader, StreamWriter]


class Papers(Protocol):
    """With what connections are encrypted."""

    def server(self) -> ssl.SSLContext:
        """For those who call us."""
        ...

    def client(self) -> ssl.SSLContext:
        """For those whom we call."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """From and to which address of this machine guests are sent, and with which papers if any."""

    address: str = "127.0.0.1"
    papers: Papers | None = None

    async def take(self, line: socket.socket) -> Line:
        """The line of somebody who calls; raises OSError when that is no node."""
        secrets = None if self.papers is None else self.papers.server()
        loop = asyncio.get_running_loop()
        reader = StreamReader(limit=_AT_ONCE)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, line, ssl=secrets)
        except BaseException:
            line.close()
            raise
        writer = StreamWriter(transport, protocol, reader, loop)
        self._check(writer)
        return reader, writer

    async def call(self, door: Door, sign: Sign, more: bytes = b"") -> Line:
        """A line to what the sign stands for; raises HypervisorFailed when we are not let in."""
        writer: StreamWriter | None = None
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await self._reach(door)
                self._check(writer)
                writer.write(door.key.encode() + sign.value + more)
                answer = await reader.readexactly(len(LET_IN))
            if answer != LET_IN:
                raise ConnectionRefusedError("it does not let us in")
        except (OSError, EOFError) as error:
            if writer is not None:
                writer.close()
            why = getattr(error, "strerror", None) or error
            raise HypervisorFailed(
                f"{door.address} does not wait for it any more: {why}."
            ) from error
        return reader, writer

    async def _reach(self, door: Door) -> Line:
        reader, writer = await asyncio.open_connection(
            door.address,
            door.port,
            local_addr=(self.address, 0),
            limit=_AT_ONCE,
            ssl=None if self.papers is None else self.papers.client(),
            server_hostname=None if self.papers is None else door.address,
        )
        tune(writer.get_extra_info("socket"))
        return reader, writer

    def _check(self, writer: StreamWriter) -> None:
        if self.papers is not None:
            shown = writer.get_extra_info("peercert") or {}
            if _NODE not in shown.get("subject", ()):
                writer.close()
                raise ConnectionRefusedError("its certificate is not a node manager's")


async def lead(one: Line, other: Line) -> None:
    """Carry everything between two lines until either has ended; both are closed then."""
    ways = [
        asyncio.ensure_future(_carry(one[0], other[1])),
        asyncio.ensure_future(_carry(other[0], one[1])),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await hang_up((one, other))


async def hang_up(lines: Iterable[Line]) -> None:
    """Close lines, once what was said on them is gone."""
    for _, writer in lines:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await writer.wait_closed()


async def _carry(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_AT_ONCE):
            writer.write(piece)
            await writer.drain()
