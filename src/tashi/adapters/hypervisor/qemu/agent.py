"""The guest's own agent (`qemu-ga`), asked for the addresses of the guest's network cards.

The agent is the guest's: it may be missing, mute, mad or malicious. So it is asked only while the
guest has opened its port, one short conversation at a time with a limit on everything; what it says
is the guest's own word, no more. It tells nothing by itself, so it is asked now and again: soon
after the port was opened, when a guest that boots has no address yet, and then ever more rarely.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import chain, count, repeat
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.reactor import Cancel, Reactor
from tashi.domain.addresses import readable

PORT: Final = "agent"
"""What the port is called on QEMU's command line."""

_ANSWER_SECONDS: Final = 3.0
_MOST_BYTES: Final = 256 * 1024
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LAST_PAUSE_SECONDS: Final = 60.0
_MARK: Final = b"\xff"
"""No part of any JSON: whoever reads on to it is past whatever was said before."""

Asks = Callable[[], Awaitable[list[tuple[str, str]]]]
"""Asks for the MACs of cards and their addresses; none without an answer."""
Hears = Callable[[str, str], None]
"""Is told a card's MAC and an address."""


class _Address(msgspec.Struct, rename="kebab"):
    ip_address: str = ""


class _Card(msgspec.Struct, rename="kebab"):
    hardware_address: str = ""
    ip_addresses: tuple[_Address, ...] = ()


class _Cards(msgspec.Struct):
    returned: tuple[_Card, ...] = msgspec.field(name="return")


class _Synced(msgspec.Struct):
    returned: int = msgspec.field(name="return")


class Agent:
    """Asks a guest's agent for as long as its port is open; in the reactor's thread."""

    def __init__(self, asks: Asks, reactor: Reactor, hears: Hears) -> None:
        self._asks = asks
        self._reactor = reactor
        self._hears = hears
        self._stop: Cancel | None = None

    def is_there(self, there: bool) -> None:
        """The guest has opened the agent's port, or closed it."""
        if not there and self._stop is not None:
            self._stop()
            self._stop = None
        elif there and self._stop is None:
            self._stop = self._reactor.begin(self._ask_on())

    async def _ask_on(self) -> None:
        for pause in chain(_PAUSES_SECONDS, repeat(_LAST_PAUSE_SECONDS)):
            await asyncio.sleep(pause)
            for mac, ip in await self._asks():
                self._hears(mac, ip)


async def addresses(path: Path, within_seconds: float = _ANSWER_SECONDS) -> list[tuple[str, str]]:
    """The MACs and addresses that the agent behind that socket names; none without an answer."""
    try:
        async with asyncio.timeout(within_seconds):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MOST_BYTES)
            try:
                return await _converse(reader, writer)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
        return []


_numbers = count(1)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> list[tuple[str, str]]:
    number = next(_numbers)
    # The mark ends whatever half a command somebody may have left with the agent.
    writer.write(_MARK + _command("guest-sync-delimited", id=number))
    while True:
        await reader.readuntil(_MARK)
        with suppress(msgspec.MsgspecError):
            if msgspec.json.decode(await reader.readline(), type=_Synced).returned == number:
                break
    writer.write(_command("guest-network-get-interfaces"))
    return list(read_cards(await reader.readline()))


def read_cards(answer: bytes) -> Iterable[tuple[str, str]]:
    """The MACs and addresses in what an agent answers; none when it is no such answer."""
    with suppress(msgspec.MsgspecError):
        for card in msgspec.json.decode(answer, type=_Cards).returned:
            for address in card.ip_addresses:
                ip = readable(address.ip_address.partition("%")[0])
                if ip is not None:
                    yield card.hardware_address.lower(), ip


def _command(name: str, **arguments: object) -> bytes:
    spoken = {"execute": name, **({"arguments": arguments} if arguments else {})}
    return msgspec.json.encode(spoken) + b"\n"
