"""A terminal joined to a guest's serial console, byte for byte, until Ctrl-] is typed.

What the guest says is waited for at the cluster manager; what is typed is sent as it comes. Several
people may be attached at once: all see everything, and what each types arrives whole. The terminal
is put back as it was however this ends.
"""

import os
import select
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tashi.client import arguments as a
from tashi.client.arguments import Given, Misused
from tashi.client.command import Session
from tashi.domain.errors import Failed, TashiError
from tashi.wire.screens import TypedForm

ESCAPE: Final = b"\x1d"
"""Ctrl-], as telnet and virsh have it."""

_ONE_LOOK_SECONDS: Final = 10.0
_LAST_BYTES: Final = 1024
_AT_ONCE: Final = 1024
_STDIN, _STDOUT = 0, 1


def attach(session: Session, given: Given) -> None:
    """Join this terminal to a guest's console; only the escape or an error ends it."""
    instance_id = session.cluster.instance_id(given[a.INSTANCE])
    if session.terminal.json or not (os.isatty(_STDIN) and os.isatty(_STDOUT)):
        raise Misused(
            "attachConsole joins a terminal to a console: run it in one. Scripts read with "
            "getConsole."
        )
    with _raw(_STDIN):
        # Said when it is so: until now, the terminal itself took the keys.
        session.terminal.err.write(f"Attached to {given[a.INSTANCE]}. Ctrl-] ends it.\r\n")
        session.terminal.err.flush()
        _Attachment(session, instance_id).run()
    session.terminal.err.write("\nDetached.\n")


class _Attachment:
    """Two directions at once: a thread shows what the guest says, this one sends what is typed."""

    def __init__(self, session: Session, instance_id: int) -> None:
        self._calls = session.cluster.calls
        self._instance_id = instance_id
        self._error: TashiError | None = None
        self._over, self._ended = os.pipe()
        self._shows = threading.Thread(target=self._show, name="console", daemon=True)

    def run(self) -> None:
        """Go on until the escape is typed; raises what ended it otherwise."""
        self._shows.start()
        while self._error is None:
            ready, _, _ = select.select([_STDIN, self._over], [], [])
            if self._over in ready:
                break
            typed = os.read(_STDIN, _AT_ONCE)
            wanted, escaped, _ = typed.partition(ESCAPE)
            if wanted:
                self._type(wanted)
            if escaped or not typed:
                return
        if self._error is not None:
            raise self._lost(self._error)

    def _type(self, typed: bytes) -> None:
        try:
            self._calls.call("typeConsole", bool, instance_id=self._instance_id, data=typed)
        except TashiError as error:
            raise self._lost(error) from error

    def _lost(self, error: TashiError) -> Failed:
        return Failed(f"The console is lost: {error.message}", instance=self._instance_id)

    def _show(self) -> None:
        offset, timeout = -_LAST_BYTES, 0.0
        try:
            while True:
                piece = self._calls.call(
                    "readConsole",
                    TypedForm,
                    instance_id=self._instance_id,
                    offset=offset,
                    timeout=timeout,
                )
                _write_all(piece.data)
                offset, timeout = piece.offset, _ONE_LOOK_SECONDS
        except TashiError as error:
            self._error = error
        except OSError as wrong:
            self._error = Failed(f"The terminal takes nothing more ({wrong.strerror}).")
        finally:
            os.write(self._ended, b"!")


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Have every key pass as it is, Ctrl-C too."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
