"""The forms of a guest's display and keyboard."""

from tashi.wire.shape import Form


class ScreenForm(Form, frozen=True, omit_defaults=True):
    """Where a display is shown: on an address and port, or a socket of the host; `tls` or not."""

    address: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False


class VncForm(Form, frozen=True, omit_defaults=True):
    """Where a display is shown, and the password that is asked for; it is never told again."""

    host: str
    password: str
    address: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False


class TypedForm(Form, frozen=True):
    """A piece of a guest's serial console, to the byte; ask again from `offset`."""

    data: bytes
    offset: int
