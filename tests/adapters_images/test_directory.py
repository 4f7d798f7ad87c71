"""A folder of images, looked at by the real qemu-img, with whatever may lie about in it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.commands import ScriptedCommands
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.catalogue import Image
from tashi.domain.errors import ImagesFailed, Refused

NOBODY = 65534
MIB = 1024 * 1024


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "suspend").mkdir()
    return tmp_path


def make(prefix: Path, name: str, *options: str) -> Path:
    path = prefix / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path)]
    SystemCommands().run([*command, "1M"], timeout_seconds=10)
    return path


def listed(prefix: Path) -> dict[str, Image]:
    return {one.name: one for one in ImageFolder(prefix, SystemCommands()).images()}


def test_an_image_is_listed_with_what_qemu_says_of_it(prefix: Path) -> None:
    base = make(prefix, "base.qcow2")
    make(prefix, "copy.qcow2", "-b", "base.qcow2", "-F", "qcow2")

    images = listed(prefix)

    assert images["base.qcow2"] == Image(
        "base.qcow2", base.stat().st_blocks * 512, MIB, "qcow2", backs=("copy.qcow2",)
    )
    assert images["copy.qcow2"].backing == "base.qcow2"


def test_what_qemu_cannot_read_is_listed_as_unknown(prefix: Path) -> None:
    of_the_future = b"QFI\xfb" + (99).to_bytes(4, "big") + bytes(504)
    (prefix / "images" / "odd.qcow2").write_bytes(of_the_future)

    image = listed(prefix)["odd.qcow2"]

    assert (image.format, image.virtual_size, image.backing) == ("unknown", 0, None)


@pytest.mark.parametrize("name", ["-h", "--help", "a b;c", "json:{}", "nbd:localhost:1", "ü\n"])
def test_a_strange_name_is_a_name(prefix: Path, name: str) -> None:
    (prefix / "images" / name).write_bytes(bytes(512))

    image = listed(prefix)[name]

    assert (image.format, image.virtual_size) == ("raw", 512)


def test_what_is_no_file_is_not_listed_and_not_had(prefix: Path) -> None:
    os.mkfifo(prefix / "images" / "pipe")
    (prefix / "images" / "dangling").symlink_to("gone")
    (prefix / "images" / "circle").symlink_to("circle")
    folder = ImageFolder(prefix, SystemCommands())

    assert folder.images() == []
    assert not any(map(folder.has, ("pipe", "dangling", "circle")))


def test_a_link_that_leads_outside_is_not_listed_and_not_had(prefix: Path) -> None:
    (prefix / "secret").write_bytes(bytes(512))
    (prefix / "images" / "leads-out").symlink_to("../secret")
    (prefix / "images" / "folder-out").symlink_to("..")
    make(prefix, "real.qcow2")
    (prefix / "images" / "stays-in").symlink_to("real.qcow2")
    folder = ImageFolder(prefix, SystemCommands())

    assert [image.name for image in folder.images()] == ["real.qcow2", "stays-in"]
    assert folder.has("stays-in")
    assert not folder.has("leads-out")
    assert not folder.has("folder-out/secret")


def test_an_image_that_a_guest_has_open_is_listed_all_the_same(prefix: Path) -> None:
    path = make(prefix, "running.qcow2")

    with opened_by_a_guest(path):
        images = listed(prefix)

    assert images["running.qcow2"].virtual_size == MIB


@contextmanager
def opened_by_a_guest(path: Path) -> Iterator[None]:
    """While a program of QEMU's has the image open for writing, under its locks."""
    command = ["qemu-io", "-f", "qcow2", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"write 0 512\n")
        process.stdin.flush()
        assert b"wrote" in process.stdout.readline().replace(b"qemu-io> ", b"")
        yield
        process.stdin.close()
        process.stdout.read()


def test_a_file_is_looked_into_once_for_each_version_of_it(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(prefix, "one.qcow2")
    make(prefix, "two.qcow2")
    looks: list[int] = []

    def counted(fd: int, length: int, offset: int) -> bytes:
        looks.append(fd)
        return pread(fd, length, offset)

    pread = os.pread
    monkeypatch.setattr(os, "pread", counted)
    folder = ImageFolder(prefix, ScriptedCommands())

    folder.images()
    first = len(looks)
    folder.images()
    again = len(looks)
    path.write_bytes(bytes(2 * MIB))
    changed = folder.images()

    assert 0 < first == again < len(looks)
    assert (changed[0].format, changed[0].virtual_size) == ("raw", 2 * MIB)


def test_whether_an_image_is_there_costs_no_look_at_the_others(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(prefix, "teams/one.qcow2")
    folder = ImageFolder(prefix, ScriptedCommands())
    assert not folder.has("two.qcow2")  # the first time it looks whether others have the folder

    def refuse(path: str) -> None:
        raise AssertionError(f"{path} was listed")

    monkeypatch.setattr(os, "scandir", refuse)

    assert folder.has("teams/one.qcow2")
    assert not folder.has("teams/two.qcow2")


def test_an_unreadable_folder_is_an_error_and_not_an_empty_store(prefix: Path) -> None:
    (prefix / "images" / "locked").mkdir(mode=0o700)
    folder = ImageFolder(prefix, SystemCommands())

    with as_nobody():
        with pytest.raises(ImagesFailed, match="Permission denied"):
            folder.images()
        with pytest.raises(ImagesFailed, match="Permission denied"):
            folder.has("locked/image.raw")


@contextmanager
def as_nobody() -> Iterator[None]:
    """While this process has no rights of its own; root would read everything."""
    mine = os.geteuid()
    os.seteuid(NOBODY if mine == 0 else mine)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_saved_memory_is_removed_used_or_not_and_nothing_else(prefix: Path) -> None:
    for name in ("7-3", "7-3.used", ".7-3.partial", "7-4"):
        (prefix / "suspend" / name).write_bytes(b"memory")
    folder = ImageFolder(prefix, SystemCommands())

    folder.delete_saved("7-3")
    folder.delete_saved("7-3")

    assert [one.name for one in (prefix / "suspend").iterdir()] == ["7-4"]


def test_stored_disks_are_removed_whole_or_not_and_nothing_else(prefix: Path) -> None:
    spent = ("7-a3.disk0.qcow2", ".7-a3.disk1.qcow2.partial", "7-a3.console")
    for name in (*spent, "7-a31.disk0.qcow2", "7-3"):
        (prefix / "suspend" / name).write_bytes(b"disk")

    ImageFolder(prefix, SystemCommands()).delete_stored("7-a3")

    assert {one.name for one in (prefix / "suspend").iterdir()} == {"7-a31.disk0.qcow2", "7-3"}


@pytest.mark.parametrize("name", ["", ".", "..", "../images/web", "/etc/passwd", "a/b", "a\0b"])
def test_a_name_that_leads_elsewhere_removes_nothing(prefix: Path, name: str) -> None:
    (prefix / "images" / "web").write_bytes(b"image")
    folder = ImageFolder(prefix, SystemCommands())

    with pytest.raises(Refused, match="no name of saved memory"):
        folder.delete_saved(name)

    assert (prefix / "images" / "web").exists()


def test_saved_memory_that_cannot_be_removed_is_an_error(prefix: Path) -> None:
    (prefix / "suspend" / "7-3").mkdir()

    with pytest.raises(ImagesFailed):
        ImageFolder(prefix, SystemCommands()).delete_saved("7-3")
