"""Names of saved memory in the image store: each is whole from the moment it is there, used once.

What is being written has a partial name; the final name says that the memory is complete and that
its guest never runs again without it; the name of used memory, that its guest has gone on.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.folder import sync
from tashi.domain.errors import HypervisorFailed, NoSuchImage, UnableToSuspend

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_USED: Final = ".used"


@dataclass(frozen=True, slots=True)
class SavedMemory:
    """The folder `suspend/`."""

    folder: Path

    def place(self, name: str) -> Path:
        """Where memory of that name is, or is to be; raises HypervisorFailed when it is none."""
        if not _NAME.match(name) or name.endswith(_USED):
            raise HypervisorFailed(f"{name!r} is no name for saved memory.")
        return self.folder / name

    def check_free(self, name: str) -> None:
        """See to it that memory of that name can be written; raises HypervisorFailed or OSError."""
        if self.has(name):
            raise HypervisorFailed(f"there is saved memory named {name} already.")
        self.folder.mkdir(parents=True, exist_ok=True)

    def partial(self, name: str) -> Path:
        """Where memory is until it is complete."""
        final = self.place(name)
        return final.with_name(f".{final.name}.partial")

    def keep(self, name: str) -> None:
        """Give what was written, and is on the disk, its final name.

        Raises OSError; then it has its partial name again, for its guest runs on.
        """
        partial, final = self.partial(name), self.place(name)
        partial.rename(final)
        try:
            sync(self.folder)
        except OSError:
            final.rename(partial)
            raise

    def use(self, name: str) -> None:
        """Mark memory as used; harmless when it is. Raises OSError."""
        final = self.place(name)
        with suppress(FileNotFoundError):  # marked already, before a crash of ours
            final.rename(_used(final))
        sync(self.folder)

    def give_back(self, name: str) -> None:
        """Mark memory as unused again, for its guest never ran; raises OSError."""
        with suppress(FileNotFoundError):  # it was not marked yet
            _used(self.place(name)).rename(self.place(name))
        sync(self.folder)

    def drop(self, name: str) -> None:
        """Remove what was not completed, as far as that can be done."""
        with suppress(OSError):
            self.partial(name).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        """Whether memory of that name is complete, used or not."""
        final = self.place(name)
        return final.exists() or _used(final).exists()

    def find(self, name: str) -> bool:
        """Whether memory of that name is complete; UnableToSuspend where that cannot be told.

        The images are beside it: a store that is away says nothing about what it has.
        """
        try:
            (self.folder.parent / "images").stat()
            return self.has(name)
        except OSError as error:
            raise UnableToSuspend(
                f"The image store cannot be read: {error.strerror or error}."
            ) from error

    def check_unused(self, name: str) -> None:
        """Raise NoSuchImage when there is no such memory, or none any more."""
        final = self.place(name)
        if not final.exists():
            fate = "was used before" if _used(final).exists() else "is not there"
            raise NoSuchImage(f"The saved memory {name} {fate}.")


def _used(final: Path) -> Path:
    return final.with_name(final.name + _USED)
