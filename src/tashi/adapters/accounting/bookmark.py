"""How far an outlet has got, in a small file that is whole or not there at all."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from tashi.domain.errors import Misconfigured, StoreFailed

T = TypeVar("T", bound=msgspec.Struct)


class Bookmark:
    """A file of JSON with a value of one form; its folder is made when it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, form: type[T]) -> T | None:
        """What is kept, or None; raises StoreFailed, Misconfigured."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=form)
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise self._failed(wrong) from wrong
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise Misconfigured(
                f"{self._path} is damaged ({wrong}): restore it from a backup, or remove it to "
                "begin anew."
            ) from wrong

    def write(self, kept: msgspec.Struct) -> None:
        """Keep that, durable, in place of what was kept; raises StoreFailed."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(msgspec.json.encode(kept) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as wrong:
            raise self._failed(wrong) from wrong

    def _failed(self, wrong: OSError) -> StoreFailed:
        return StoreFailed(f"{self._path} cannot be used ({wrong.strerror or wrong}).")


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable; raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
