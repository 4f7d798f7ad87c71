"""What every image store promises: images by their place below one folder, and nothing beside."""

from pathlib import Path
from typing import Protocol

import pytest

from fakes.images import FakeImages
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import ImagesFailed
from tashi.ports.images import ImageStore

NAMES = ("debian.raw", "teams/web/front.raw", "teams/base.raw")


class Place(Protocol):
    """An image store with the images of `NAMES`."""

    store: ImageStore

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

    def take_away(self) -> None:
        self._images.rename(self._images.with_name("elsewhere"))


class FakePlace:
    """A store of names."""

    def __init__(self, _: Path) -> None:
        self._fake = FakeImages(NAMES)
        self.store: ImageStore = self._fake

    def take_away(self) -> None:
        self._fake.is_away = True


@pytest.fixture(params=[FolderPlace, FakePlace])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path)
    return made


def test_images_are_listed_by_name_with_their_folders(place: Place) -> None:
    assert [image.name for image in place.store.images()] == sorted(NAMES)


def test_a_listed_image_has_a_format_and_sizes_in_bytes(place: Place) -> None:
    for image in place.store.images():
        assert image.format in {"raw", "qcow2"}
        assert image.virtual_size == 4096
        assert image.size >= 0
        assert image.used_by == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_store_has_what_it_lists(place: Place, name: str) -> None:
    assert place.store.has(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "teams", "gone.raw", "teams/gone.raw", "debian.raw/x"),
        *("../secret.raw", "teams/../../secret.raw", "/etc/passwd", "a\0b", "debian.raw\n"),
    ],
)
def test_the_store_has_nothing_else(place: Place, name: str) -> None:
    assert not place.store.has(name)


def test_a_store_that_is_away_says_so_rather_than_that_it_is_empty(place: Place) -> None:
    place.take_away()

    with pytest.raises(ImagesFailed):
        place.store.images()
    with pytest.raises(ImagesFailed):
        place.store.has("debian.raw")
