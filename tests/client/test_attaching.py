"""An attached terminal that goes away."""

import errno
import os
from typing import Any

import pytest

from tashi.client import attaching
from tashi.domain.errors import Failed
from tashi.wire.screens import TypedForm


class _Saying:
    """A session whose guest says something."""

    def __init__(self) -> None:
        self.cluster = self.calls = self

    def call(self, name: str, form: type, **_: object) -> object:
        assert (name, form) == ("readConsole", TypedForm)
        return TypedForm(b"words", 5)


def test_a_terminal_that_takes_nothing_more_ends_it_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(_data: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    keys, typing = os.pipe()
    monkeypatch.setattr(attaching, "_STDIN", keys)
    monkeypatch.setattr(attaching, "_write_all", gone)
    session: Any = _Saying()
    attachment = attaching._Attachment(session, 7)

    with pytest.raises(Failed, match=r"The terminal takes nothing more \(Input/output error\)"):
        attachment.run()
    attachment._shows.join()
    for end in (keys, typing, attachment._over, attachment._ended):
        os.close(end)
