"""What every image store promises: images by their place below one folder, and nothing beside."""

from pathlib import Path

import pytest

from contracts.stores import NAMES, PLACES, Place
from tashi.domain.errors import ImagesFailed, NoSuchImage


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


def test_saved_memory_is_deleted_once_and_for_all(place: Place) -> None:
    place.save("7-2")

    place.store.delete_saved("7-2")
    place.store.delete_saved("7-2")
    place.store.delete_stored("7-a1")

    assert not place.store.has_saved("7-2")


def test_in_a_store_that_is_away_nothing_counts_as_deleted(place: Place) -> None:
    place.take_away()

    with pytest.raises(ImagesFailed):
        place.store.delete_saved("7-2")
    with pytest.raises(ImagesFailed):
        place.store.delete_stored("7-a1")


def test_the_console_of_a_guest_at_rest_is_read_in_pieces(place: Place) -> None:
    place.store_console("7-a1", b"BOOT\nlogin: ")

    whole = place.store.console("7-a1", 0, 100)
    first = place.store.console("7-a1", 0, 5)
    last = place.store.console("7-a1", -7, 100)
    behind = place.store.console("7-a1", 100, 100)

    assert whole == (b"BOOT\nlogin: ", 12)
    assert first == (b"BOOT\n", 5)
    assert last == (b"login: ", 12)
    assert behind == (b"", 12)


def test_there_may_be_no_console_or_no_store(place: Place) -> None:
    with pytest.raises(NoSuchImage):
        place.store.console("7-a1", 0, 100)

    place.take_away()

    with pytest.raises(ImagesFailed):
        place.store.console("7-a1", 0, 100)
