"""A node's certificate as QEMU takes it: one description, for its monitor and its command line.

QEMU reads the folder that the node manager shows from, by names that lie there for it. What it
serves with one is renewed by reading that anew; nothing is copied.
"""

from enum import Enum
from pathlib import Path
from typing import Final

_SERVERS: Final = "server-cert.pem"


class End(Enum):
    """The two ends of a connection, as QEMU names them."""

    TARGET = "server"
    SOURCE = "client"


def to_serve_with(folder: Path | None) -> Path | None:
    """That folder, if it has what a server shows: one from older versions may lack it."""
    return folder if folder is not None and (folder / _SERVERS).exists() else None


def tls_object(name: str, folder: Path, end: End, *, verify: bool) -> dict[str, object]:
    """What QEMU makes an object of that name from; with `verify` the peer must show one, too."""
    return {
        "qom-type": "tls-creds-x509",
        "id": name,
        "dir": str(folder),
        "endpoint": end.value,
        "verify-peer": verify,
    }
