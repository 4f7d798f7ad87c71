"""An image store of names."""

from collections.abc import Iterable, Sequence

from tashi.domain.catalogue import Image
from tashi.domain.errors import ImagesFailed


class FakeImages:
    """Has the images that it is given; `is_away` makes every question fail."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self.deleted: list[str] = []
        self.is_away = False

    def images(self) -> Sequence[Image]:
        self._check()
        return [Image(name, 1024, 4096, "qcow2") for name in sorted(self._names)]

    def has(self, name: str) -> bool:
        self._check()
        return name in self._names

    def delete_saved(self, name: str) -> None:
        self.deleted.append(name)

    def delete_stored(self, name: str) -> None:
        self.deleted.append(f"{name}.disks")

    def _check(self) -> None:
        if self.is_away:
            raise ImagesFailed("The image store cannot be read: Stale file handle.")
