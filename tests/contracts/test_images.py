"""What every image store promises: images by their place below one folder, and nothing beside."""

from pathlib import Path

import pytest

from contracts.stores import NAMES, PLACES, Place
from tashi.domain.errors import ImagesFailed


@pytest.fixture(params=PLACES)
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


def test_saved_memory_is_there_when_it_is_complete_and_unused(place: Place) -> None:
    before = place.store.has_saved("7-2")

    place.save("7-2")

    assert not before
    assert place.store.has_saved("7-2")
    assert not place.store.has_saved("7-3")


def test_a_store_that_is_away_does_not_say_that_memory_is_not_there(place: Place) -> None:
    place.take_away()

    with pytest.raises(ImagesFailed):
        place.store.has_saved("7-2")
