"""Typing on a console never waits longer than it says, whatever QEMU does."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu import keyboard
from tashi.adapters.hypervisor.qemu.keyboard import type_in
from tashi.domain.errors import HypervisorFailed


def test_a_qemu_that_takes_no_calls_is_waited_for_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyboard, "_SECONDS", 0.2)
    console = tmp_path / "console"
    with ExitStack() as lines:
        hung = lines.enter_context(socket.socket(socket.AF_UNIX))
        hung.bind(bytes(console))
        hung.listen(0)
        with pytest.raises(HypervisorFailed, match="does not take up"):
            type_in(console, b"first")
        for _ in range(2):
            waiting = lines.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            if waiting.connect_ex(bytes(console)):
                break

        with pytest.raises(HypervisorFailed, match="hangs"):
            type_in(console, b"second")
