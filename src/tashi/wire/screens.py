"""The forms of a guest's display and keyboard."""

from tashi.wire.shape import Form


class ScreenForm(Form, frozen=True, omit_defaults=True):
    """Where a display is shown: on an address and a port, or else on a socket of the host."""

    address: str = ""
    port: int = 0
    socket: str = ""


class VncForm(Form, frozen=True, omit_defaults=True):
    """Where a display is shown, and the password that is asked for; it is never told again."""

    host: str
    password: str
    address: str = ""
    port: int = 0
    socket: str = ""


class TypedForm(Form, frozen=True):
    """A piece of a guest's serial console, to the byte; ask again from `offset`."""

    data: bytes
    offset: int
