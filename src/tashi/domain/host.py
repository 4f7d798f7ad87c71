"""The cluster's record of one host, and what its node says of itself when it opens a session."""

from dataclasses import dataclass, replace
from typing import Final

from tashi.domain.engine import Engine
from tashi.domain.errors import Refused
from tashi.domain.identity import HostId, Mib, NetworkId, Session, UserId
from tashi.domain.states import HostState

_MOST_MEMORY: Final = 2**30
_MOST_CORES: Final = 2**16
_LARGEST_PORT: Final = 2**16 - 1
_LARGEST_NETWORK: Final = 4094
_LONGEST_WORD: Final = 255
_LONGEST_LIST: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a node says of its machine: what it offers to guests, and how to reach it.

    `memory` is in MiB and, like `cores`, what is left for guests. `networks` is ``None`` when the
    node takes any network. `boot_id` changes with every boot of the machine. `engine` is what runs
    its guests, and `migration_address` where they are sent from and to; empty where it is told by
    a node that knows no such thing.
    """

    name: str
    memory: Mib
    cores: int
    version: str
    address: str
    port: int
    boot_id: str
    networks: tuple[NetworkId, ...] | None = None
    engine: Engine | None = None
    migration_address: str = ""


def check_machine(machine: Machine) -> None:
    """Raise Refused unless a machine could be as its node says; the books keep what it says."""
    numbers = (
        ("memory", machine.memory, _MOST_MEMORY),
        ("cores", machine.cores, _MOST_CORES),
        ("port", machine.port, _LARGEST_PORT),
        *(("network", network, _LARGEST_NETWORK) for network in machine.networks or ()),
    )
    for what, number, most in numbers:
        if not 0 <= number <= most:
            raise Refused(f"A node says {what} {number} of its machine: it can be 0 to {most}.")
    lengths = [len(machine.networks or ())]
    words = [machine.version, machine.address, machine.boot_id, machine.migration_address]
    if (engine := machine.engine) is not None:
        lengths += [len(engine.machines), len(engine.features), len(engine.models)]
        words += [engine.qemu, engine.accel, engine.processor, engine.backend]
        words += [*engine.machines, *engine.features, *engine.models]
    if any(len(word) > _LONGEST_WORD or not word.isprintable() for word in words):
        raise Refused(f"A node's words are printable, and of at most {_LONGEST_WORD} letters.")
    if max(lengths) > _LONGEST_LIST:
        raise Refused(f"What a node lists of its machine has at most {_LONGEST_LIST} entries.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All that the cluster knows of one host.

    `reserved` lists the users it is kept for; empty means anyone. `session` is the conversation
    whose orders its node accepts; 0 before the first. `draining` is the wish that everything leave
    it; it lasts until nothing is left there, and the host is Drained.
    """

    id: HostId
    name: str
    up: bool = False
    state: HostState = HostState.NORMAL
    memory: Mib = Mib(0)
    cores: int = 0
    version: str = ""
    notes: str = ""
    reserved: tuple[UserId, ...] = ()
    address: str = ""
    port: int = 0
    boot_id: str = ""
    networks: tuple[NetworkId, ...] | None = None
    session: Session = Session(0)
    draining: bool = False
    engine: Engine | None = None
    migration_address: str = ""

    def emptied(self) -> "Host":
        """The host once everything that was to leave it has left."""
        return replace(self, draining=False, state=HostState.DRAINED)

    @property
    def moves_from(self) -> str:
        """The address that guests come from when they move away from here."""
        return self.migration_address or self.address

    def is_reserved_against(self, user: UserId) -> bool:
        """Whether the host is kept for users of whom this is none."""
        return bool(self.reserved) and user not in self.reserved

    def __str__(self) -> str:
        return f"host {self.name}"
