"""Images that are taken in, as QEMU itself finds them: whole, cut off, larger than they need be."""

import subprocess
from pathlib import Path

import pytest

from disk_images import Bar, qcow2
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Cancelled, Refused
from tashi.ports.images import NewImage


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def store(images: Path) -> ImageFolder:
    return ImageFolder(images.parent, SystemCommands())


def new(name: str) -> NewImage:
    return NewImage(name=name, owner=None)


def qemu(*words: str | Path) -> None:
    subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)


def take_in(store: ImageFolder, name: str, image: bytes) -> None:
    intake = store.receive(new(name), len(image))
    intake.take(image)
    intake.keep(Bar())


def test_an_image_whose_end_is_missing_is_not_taken_in(
    store: ImageFolder, images: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", whole, "8M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 2M", whole)
    image = whole.read_bytes()

    with pytest.raises(Refused, match="damaged or cut off"):
        take_in(store, "cut.qcow2", image[: len(image) // 2 // 512 * 512])
    take_in(store, "whole.qcow2", image)

    qemu("qemu-img", "compare", "-q", whole, images / "whole.qcow2")
    assert not store.has("cut.qcow2")


def test_an_image_that_takes_up_more_than_it_needs_is_taken_in(store: ImageFolder) -> None:
    image = bytearray(qcow2() + bytes(64 * 1024))
    image[2 * 64 * 1024 + 8 : 2 * 64 * 1024 + 10] = b"\0\1"

    take_in(store, "leaks.qcow2", bytes(image))

    assert store.has("leaks.qcow2")


def test_a_check_that_is_cancelled_leaves_nothing(store: ImageFolder) -> None:
    intake = store.receive(new("new.qcow2"), len(qcow2()))
    intake.take(qcow2())
    bar = Bar()
    bar.leash.pull()

    with pytest.raises(Cancelled):
        intake.keep(bar)

    assert not store.has("new.qcow2")
