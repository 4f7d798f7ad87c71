"""The journal's volumes in a folder, to be read: also while they grow, also compressed.

    000001-20261129T150000Z.jsonl.gz
    000002-20261203T081512Z.jsonl

A volume is named after its number and the time at which it began. What is no volume's name is not
looked at. Older volumes may be compressed by gzip, or moved away, by whoever likes.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured, StoreFailed
from tashi.ports.journal import Volume

_NAME: Final = re.compile(r"(?P<number>\d{6,18})-(?P<began>\d{8}T\d{6}Z)\.jsonl(?P<gz>\.gz)?")
_TIME: Final = "%Y%m%dT%H%M%SZ"


def volume_name(number: int, at: float) -> str:
    """How a volume is named that began at that time."""
    return f"{number:06d}-{datetime.fromtimestamp(at, UTC):{_TIME}}.jsonl"


def volumes_in(folder: Path) -> list[Volume]:
    """The volumes in the folder, the oldest first; of two forms of one, the plain one."""
    found = {}
    for name in sorted((path.name for path in folder.iterdir()), reverse=True):
        match = _NAME.fullmatch(name)
        if match is not None:
            began = datetime.strptime(match["began"], _TIME).replace(tzinfo=UTC).timestamp()
            found[int(match["number"])] = Volume(int(match["number"]), began, name)
    return [found[number] for number in sorted(found)]


class FolderReader:
    """Reads the journal in that folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def volumes(self) -> Sequence[Volume]:
        """The volumes that are there, the oldest first; raises Misconfigured."""
        try:
            return volumes_in(self._folder)
        except FileNotFoundError:
            return ()
        except OSError as wrong:
            raise Misconfigured(
                f"The journal in {self._folder} cannot be read ({wrong.strerror}): be a user who "
                "may, or set journal in [AccountingService]."
            ) from wrong

    def lines(self, volume: Volume, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        """The whole lines from that offset on, each with the offset of the next."""
        path = self._folder / volume.name
        try:
            with _opened(path) as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    offset += len(line)
                    yield line, offset
        except (OSError, EOFError, zlib.error) as wrong:
            why = getattr(wrong, "strerror", None) or wrong
            raise StoreFailed(f"{path} cannot be read: {why}.") from wrong


def _opened(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
