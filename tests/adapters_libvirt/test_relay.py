"""Lines between two nodes, plain and encrypted: what is said arrives, and only nodes are let in."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from adapters_libvirt.doors import DOOR, HERE, KEY
from certificates import Office
from tashi.adapters.hypervisor.libvirt.door import KEY_BYTES, LET_IN, Sign
from tashi.adapters.hypervisor.libvirt.relay import Way, hang_up
from tashi.adapters.hypervisor.qemu.lines import listen_for
from tashi.adapters.hypervisor.qemu.receiving import accepted
from tashi.adapters.rpyc.papers import Papers
from tashi.domain.errors import HypervisorFailed


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def way_of(office: Office, role: str) -> Way:
    return Way(HERE, Papers(office.issued(role, role, HERE), demanding=True, shows=True))


async def said_to(target: Way, source: Way, words: bytes) -> bytes:
    """What comes back when the source says that to a target that lets in whoever has the key."""
    listener = listen_for(HERE, HERE)
    listener.setblocking(False)
    door = msgspec.structs.replace(DOOR, port=listener.getsockname()[1])

    async def echo() -> None:
        line = await target.take(await accepted(listener))
        try:
            said = await line[0].readexactly(KEY_BYTES + 1)
            assert said == KEY.encode() + Sign.MEMORY.value
            line[1].write(LET_IN)
            while piece := await line[0].read(1 << 16):
                line[1].write(piece)
                await line[1].drain()
        finally:
            await hang_up([line])

    serving = asyncio.ensure_future(echo())
    try:
        line = await source.call(door, Sign.MEMORY)
        line[1].write(words)
        try:
            return await line[0].readexactly(len(words))
        finally:
            await hang_up([line])
    finally:
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


def test_what_is_said_arrives() -> None:
    assert asyncio.run(said_to(Way(), Way(), b"memory")) == b"memory"


def test_between_nodes_it_is_encrypted(office: Office) -> None:
    node = way_of(office, "nodemanager")

    assert asyncio.run(said_to(node, node, b"memory" * 100_000)) == b"memory" * 100_000


def test_who_is_no_node_is_not_let_in(office: Office) -> None:
    with pytest.raises(HypervisorFailed, match="does not wait for it any more"):
        asyncio.run(said_to(way_of(office, "nodemanager"), way_of(office, "scheduler"), b"memory"))


def test_who_shows_nothing_is_not_let_in(office: Office) -> None:
    with pytest.raises(HypervisorFailed, match="does not wait for it any more"):
        asyncio.run(said_to(way_of(office, "nodemanager"), Way(), b"memory"))
