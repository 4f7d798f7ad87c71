"""Which files a guest is given as disks, as the real qemu-img sees them.

They are chosen before any backend is asked, and are the same for each.
"""

import os
import subprocess
from pathlib import Path

import pytest

from disk_images import qcow2
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.domain.errors import HypervisorFailed

pytestmark = pytest.mark.qemu


@pytest.fixture
def images(tmp_path: Path) -> Images:
    store = tmp_path / "images"
    store.mkdir()
    return Images(store)


def create(path: Path, *options: str) -> None:
    """An image of 1 MiB."""
    subprocess.run(["qemu-img", "create", "-q", *options, str(path), "1M"], check=True)


def test_formats_are_told_apart(images: Images) -> None:
    create(images.folder / "a.qcow2", "-f", "qcow2")
    create(images.folder / "b.img", "-f", "raw")

    assert images.format_of("a.qcow2") == "qcow2"
    assert images.format_of("/b.img") == "raw"


def test_an_image_is_looked_at_once_until_it_changes(images: Images) -> None:
    image = images.folder / "a.img"
    create(image, "-f", "raw")
    images.format_of("a.img")
    blind = Images(images.folder, images._known)
    known = dict(images._known)

    again = blind.format_of("a.img")
    unchanged = dict(images._known)
    create(image, "-f", "qcow2")
    anew = images.format_of("a.img")

    assert (again, anew) == ("raw", "qcow2")
    assert unchanged == known


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no disk image"),
        (b"This is a letter, not a disk.\n", "no disk image"),
        (b"QFI\xfb" + b"\xff" * 508, "no disk image"),
    ],
)
def test_what_is_no_image_is_refused(images: Images, content: bytes, why: str) -> None:
    (images.folder / "letter").write_bytes(content)

    with pytest.raises(HypervisorFailed, match=why):
        images.format_of("letter")


@pytest.mark.parametrize("uri", ["", "/", "..", "../secret", "a/../../secret"])
def test_names_that_lead_out_of_the_store_are_refused(images: Images, uri: str) -> None:
    with pytest.raises(HypervisorFailed, match="not the name of an image"):
        images.format_of(uri)


def test_what_is_not_there_and_what_is_no_file_are_refused(images: Images) -> None:
    (images.folder / "folder").mkdir()

    with pytest.raises(HypervisorFailed, match="No such file"):
        images.format_of("nothing")
    with pytest.raises(HypervisorFailed, match="not a file"):
        images.format_of("folder")


def test_an_image_based_on_another_in_the_store_is_taken(images: Images) -> None:
    base = images.folder / "base.img"
    create(base, "-f", "raw")
    create(images.folder / "top.qcow2", "-f", "qcow2", "-b", str(base), "-F", "raw")

    assert images.format_of("top.qcow2") == "qcow2"


def test_an_image_that_reaches_outside_the_store_is_refused(images: Images, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    create(secret, "-f", "raw")
    create(images.folder / "spy.qcow2", "-f", "qcow2", "-b", str(secret), "-F", "raw")
    middle = str(images.folder / "spy.qcow2")
    create(images.folder / "deep.qcow2", "-f", "qcow2", "-b", middle, "-F", "qcow2")

    for uri in ("spy.qcow2", "deep.qcow2"):
        with pytest.raises(HypervisorFailed, match="outside the image store"):
            images.format_of(uri)


def test_what_a_guest_writes_into_a_base_is_seen_though_the_top_is_the_same(
    images: Images, tmp_path: Path
) -> None:
    base = images.folder / "base.raw"
    create(base, "-f", "raw")
    create(images.folder / "top.qcow2", "-f", "qcow2", "-b", "base.raw", "-F", "raw")
    before = images.format_of("top.qcow2")

    with base.open("r+b") as disk:
        disk.write(qcow2(backing=str(tmp_path / "secret")))

    assert before == "qcow2"
    with pytest.raises(HypervisorFailed, match="as if that were raw"):
        images.format_of("top.qcow2")


@pytest.mark.parametrize("said", ["", "qcow2"])
def test_an_image_whose_base_qemu_would_have_to_guess_is_refused(images: Images, said: str) -> None:
    create(images.folder / "base.raw", "-f", "raw")
    vague = qcow2(backing="base.raw", backing_format=said)
    (images.folder / "vague.qcow2").write_bytes(vague)
    create(images.folder / "top.qcow2", "-u", "-f", "qcow2", "-b", "vague.qcow2", "-F", "qcow2")

    for uri in ("vague.qcow2", "top.qcow2"):
        with pytest.raises(HypervisorFailed, match=r"qemu-img rebase -u -b base\.raw -F raw"):
            images.format_of(uri)


def test_an_image_with_its_data_elsewhere_is_refused(images: Images, tmp_path: Path) -> None:
    create(images.folder / "a.qcow2", "-f", "qcow2", "-o", f"data_file={tmp_path / 'secret'}")

    with pytest.raises(HypervisorFailed, match="in another file"):
        images.format_of("a.qcow2")


def test_other_formats_are_refused_with_the_remedy(images: Images) -> None:
    create(images.folder / "a.vmdk", "-f", "vmdk")

    with pytest.raises(HypervisorFailed, match="qemu-img convert"):
        images.format_of("a.vmdk")


@pytest.mark.parametrize("backing", ["nbd:localhost:1", "json:{}", "pipe", "gone", "letter"])
def test_an_image_that_is_based_on_something_else_than_an_image_is_refused(
    images: Images, backing: str
) -> None:
    os.mkfifo(images.folder / "pipe")
    (images.folder / "letter").write_text("Dear Tashi")
    (images.folder / "a.qcow2").write_bytes(qcow2(backing=backing))

    with pytest.raises(HypervisorFailed, match=r"a\.qcow2"):
        images.format_of("a.qcow2")


def test_images_that_are_based_on_each_other_are_refused(images: Images) -> None:
    for name, other in (("a.qcow2", "b.qcow2"), ("b.qcow2", "a.qcow2")):
        (images.folder / name).write_bytes(qcow2(backing=other, backing_format="qcow2"))

    with pytest.raises(HypervisorFailed, match="based on itself"):
        images.format_of("a.qcow2")


def test_a_link_is_followed_inside_the_store_only(images: Images, tmp_path: Path) -> None:
    create(images.folder / "a.img", "-f", "raw")
    create(tmp_path / "secret", "-f", "raw")
    (images.folder / "in").symlink_to("a.img")
    (images.folder / "out").symlink_to("../secret")

    assert images.format_of("in") == "raw"
    with pytest.raises(HypervisorFailed, match="outside the image store"):
        images.format_of("out")
