"""Whoever comes to the door of a move and says nothing, or not all, is not let stand there."""

import asyncio
import socket
from typing import Any, cast

import pytest

from adapters_libvirt.doors import DOOR, HERE, KEY
from tashi.adapters.hypervisor.libvirt import receiving
from tashi.adapters.hypervisor.libvirt.door import LET_IN, Sign
from tashi.adapters.hypervisor.libvirt.receiving import Receiving
from tashi.adapters.hypervisor.libvirt.relay import Way

SECONDS = 60.0


def a_keeper() -> Receiving:
    nobody = cast("Any", None)
    return Receiving(
        way=Way(HERE),
        launcher=nobody,
        uri="qemu:///system",
        tell=lambda _: None,
        on_step=lambda _: None,
    )


@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
@pytest.mark.parametrize(
    "said",
    [
        b"",
        KEY.encode(),
        KEY.encode() + b"?",
        KEY.encode() + Sign.LIBVIRTD.value + b"half a hash",
        KEY.encode() + Sign.WORD.value + b"half a word",
    ],
)
def test_a_caller_who_does_not_say_all_is_hung_up_on(
    said: bytes, hangs_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_KEY_SECONDS", 0.1)
    caller, ours = socket.socketpair()
    with caller:
        caller.settimeout(SECONDS)
        caller.sendall(said)
        if hangs_up:
            caller.shutdown(socket.SHUT_WR)

        async def serve() -> None:
            ours.setblocking(False)
            await a_keeper()._serve(cast("Any", None), ours, DOOR, [])

        asyncio.run(serve())
        answer = b""
        while piece := caller.recv(1):
            answer += piece

    assert answer in {b"", LET_IN}
