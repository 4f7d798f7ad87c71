"""Image stores with a few images, for the suites of their port."""

from pathlib import Path
from typing import Final, Protocol

from fakes.images import FakeImages
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.ports.images import ImageStore

NAMES: Final = ("debian.raw", "teams/web/front.raw", "teams/base.raw")


class Place(Protocol):
    """An image store with the images of `NAMES`."""

    store: ImageStore

    def left_over(self) -> list[str]:
        """What is in the store beside images and what belongs to them."""
        ...

    def save(self, name: str) -> None:
        """Let there be saved memory of that name."""
        ...

    def store_console(self, name: str, said: bytes) -> None:
        """Let there be the console's log of a guest at rest under that name."""
        ...

    def take_away(self) -> None:
        """Let the store be away, as one whose share is not mounted."""
        ...


class FolderPlace:
    """A folder on this machine, with a secret beside it."""

    def __init__(self, prefix: Path) -> None:
        self._images = prefix / "images"
        for name in NAMES:
            (self._images / name).parent.mkdir(parents=True, exist_ok=True)
            (self._images / name).write_bytes(bytes(4096))
        (prefix / "secret.raw").write_bytes(bytes(4096))
        self.store: ImageStore = ImageFolder(prefix, SystemCommands())

    def left_over(self) -> list[str]:
        images = {image.name for image in self.store.images()}
        files = {
            str(one.relative_to(self._images))
            for one in self._images.rglob("*")
            if one.is_file() or not (one.name.startswith(".held-") or any(one.iterdir()))
        }
        cards = {f"{folder}.{base}.tashi" for folder, base in map(_divided, images)}
        beside = {one.name for one in self._images.parent.iterdir()} - {"images", "secret.raw"}
        return sorted(files - images - cards | beside)

    def save(self, name: str) -> None:
        self._put(name, b"memory")

    def store_console(self, name: str, said: bytes) -> None:
        self._put(f"{name}.console", said)

    def _put(self, name: str, content: bytes) -> None:
        suspended = self._images.with_name("suspend")
        suspended.mkdir()
        (suspended / name).write_bytes(content)

    def take_away(self) -> None:
        self._images.rename(self._images.with_name("elsewhere"))


class FakePlace:
    """A store in memory."""

    def __init__(self, _: Path) -> None:
        self._fake = FakeImages(NAMES)
        self.store: ImageStore = self._fake

    def left_over(self) -> list[str]:
        return []

    def save(self, name: str) -> None:
        self._fake.saved.add(name)

    def store_console(self, name: str, said: bytes) -> None:
        self._fake.consoles[name] = said

    def take_away(self) -> None:
        self._fake.is_away = True


def _divided(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    return folder + slash, base


PLACES: Final = (FolderPlace, FakePlace)
