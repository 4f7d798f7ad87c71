"""The way between machines, and TLS for what QEMU sends on it: a guest's memory and its disks.

QEMU reads the node's certificate from the folder it is in, anew for every move, so a renewed one
is used without a restart. Both ends show theirs: the target lets in only a certificate for a node
manager, the source believes only one that is for the address it called.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.papers import End, tls_object

_PAPERS: Final = "move-papers"
_GUESTS: Final = "move-nodes"
_PLAIN: Final = {"tls-creds": "", "tls-hostname": "", "tls-authz": ""}
_NODES: Final = ("*,OU=nodemanager,O=Tashi", "O=Tashi,OU=nodemanager,*")
"""A node's certificate as QEMU words it; which way round depends on its library."""


@dataclass(frozen=True, slots=True)
class Road:
    """From and to which address of this machine guests are sent, in numbers, and with which papers.

    Without a folder of papers nothing is encrypted.
    """

    address: str = "127.0.0.1"
    papers: Path | None = None

    def prepare(self, guest: Guest, end: End, called: str = "") -> None:
        """Have a QEMU encrypt its next move; `called` is the address that a source calls.

        A target's QEMU is new. Raises HypervisorFailed, also when QEMU cannot use the certificate.
        """
        if end is End.SOURCE:
            _forget(guest)
        if self.papers is None:
            return
        guest.ask("object-add", **tls_object(_PAPERS, self.papers, end, verify=True))
        wanted = {"tls-creds": _PAPERS, "tls-hostname": called}
        if end is End.TARGET:
            rules = [{"match": one, "policy": "allow", "format": "glob"} for one in _NODES]
            listed = {"qom-type": "authz-list", "id": _GUESTS, "policy": "deny"}
            guest.ask("object-add", **listed, rules=rules)
            wanted["tls-authz"] = _GUESTS
        guest.ask("migrate-set-parameters", **wanted)

    def of_server(self) -> dict[str, object]:
        """What the server of disks is told besides."""
        return {} if self.papers is None else {"tls-creds": _PAPERS, "tls-authz": _GUESTS}

    def of_client(self, called: str) -> dict[str, object]:
        """What who calls that server is told besides."""
        return {} if self.papers is None else {"tls-creds": _PAPERS, "tls-hostname": called}


def _forget(guest: Guest) -> None:
    """Remove what an earlier move may have left."""
    objects = msgspec.convert(guest.ask("qom-list", path="/objects"), list[_Object])
    left = sorted({one.name for one in objects} & {_PAPERS, _GUESTS})
    if left:
        guest.ask("migrate-set-parameters", **_PLAIN)
    for name in left:
        guest.ask("object-del", id=name)


class _Object(msgspec.Struct):
    name: str
