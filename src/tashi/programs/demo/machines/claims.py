"""Which set of pretended machines has which number, so that several stand side by side.

A claim is a file in /run, which is empty after a boot, as are the namespaces. It says whose folder
the set belongs to, and which process it must not outlive, if any. A claim whose folder or process
is gone is abandoned: whoever comes next takes its machines away.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from tashi.domain.errors import Failed

CLAIMS: Final = Path("/run/tashi-machines")
MOST: Final = 256
_START_TIME: Final = 19
"""Which word after the name in /proc/PID/stat says when a process was started (proc(5))."""


class Claim(msgspec.Struct, frozen=True):
    """Whose the machines are; `keeper` and `born` are the process they belong to, or 0."""

    home: str
    keeper: int = 0
    born: int = 0

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody will come back for them."""
        if self.keeper and _birth(self.keeper) != self.born:
            return True
        return not Path(self.home).is_dir()


def claim(home: Path, *, keeper: int = 0) -> int:
    """The number of the machines of this folder: the one it has, or else a free one.

    With a `keeper` the claim ends with that process.
    """
    for number, theirs in claims():
        if theirs.home == str(home):
            return number
    CLAIMS.mkdir(exist_ok=True)
    part = CLAIMS / f"new.{os.getpid()}"
    ours = Claim(str(home), keeper, _birth(keeper) if keeper else 0)
    part.write_bytes(msgspec.json.encode(ours))
    try:
        return _first_free(part)
    finally:
        part.unlink()


def claims() -> Iterator[tuple[int, Claim]]:
    """Every number that is taken, and by whom."""
    if not CLAIMS.is_dir():
        return
    for file in CLAIMS.iterdir():
        if file.name.isdigit():
            with suppress(FileNotFoundError, msgspec.MsgspecError):
                yield int(file.name), msgspec.json.decode(file.read_bytes(), type=Claim)


def holder_of(number: int) -> str:
    """The folder whose machines have that number; empty when it is free."""
    return next((claim.home for one, claim in claims() if one == number), "")


def release(number: int) -> None:
    """Give a number back, once nothing of its machines is left."""
    (CLAIMS / str(number)).unlink(missing_ok=True)
    with suppress(OSError):  # others have claims
        CLAIMS.rmdir()


def _first_free(part: Path) -> int:
    for number in range(MOST):
        with suppress(FileExistsError):
            (CLAIMS / str(number)).hardlink_to(part)
            return number
    raise Failed(f"All {MOST} numbers for sets of machines are taken: see {CLAIMS}.")


def _birth(process: int) -> int:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[_START_TIME])
