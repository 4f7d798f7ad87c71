"""What this machine says of itself, and what an admin says instead.

Tests and containers pretend to be other machines: each of the facts can be given by a setting.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured
from tashi.domain.identity import Mib

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_MEMORY_FILE: Final = Path("/proc/meminfo")
_KIB_PER_MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """A host as it presents itself; `memory` is what guests may have, in MiB.

    `boot_id` changes with every boot and only then.
    """

    host_name: str
    memory: Mib
    cores: int
    boot_id: str


def describe_machine(
    *,
    reserved: int,
    host_name: str | None = None,
    memory: int | None = None,
    cores: int | None = None,
    boot_id_file: Path | None = None,
) -> Machine:
    """This machine; what is given goes before what it says. Raises Misconfigured.

    `reserved` is how many MiB are not for guests; it does not touch a `memory` that is given.
    """
    return Machine(
        host_name=host_name or socket.gethostname(),
        memory=Mib(max(0, _memory() - reserved) if memory is None else memory),
        cores=cores or os.sysconf("SC_NPROCESSORS_ONLN"),
        boot_id=_boot_id(boot_id_file or BOOT_ID_FILE),
    )


def _memory() -> int:
    for line in _MEMORY_FILE.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "MemTotal":
            return int(value.split()[0]) // _KIB_PER_MIB
    raise Misconfigured(f"{_MEMORY_FILE} does not say how much memory there is: set memory.")


def _boot_id(file: Path) -> str:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Misconfigured(f"The boot id cannot be read from {file}: {why}.") from error
    if not text:
        raise Misconfigured(f"The file {file} should hold a boot id, but it is empty.")
    return text
