"""Images made in a folder with the real qemu-img: what they hold, and what may lie in their way."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disk_images import MIB, Bar, left_in, qcow2
from tashi.adapters.images import parts
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Cancelled, ImageInUse, ImagesFailed, NoSuchImage, Refused
from tashi.domain.identity import UserId
from tashi.domain.images import new_image_name
from tashi.ports.images import NewImage

OUTSIDE = [
    *("../new.raw", "a/../../new.raw", "..", ".", "", "a//b", "a/./b", "/etc/new.raw"),
    *("new\0.raw", ".hidden.raw", "a/.hidden/b", "base.raw/x"),
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "base.raw").write_bytes(b"base" * 256 * 1024)
    (tmp_path / "secret.raw").write_bytes(b"!" * 4096)
    return folder


@pytest.fixture
def store(images: Path) -> ImageFolder:
    made = ImageFolder(images.parent, SystemCommands())
    made.images()
    return made


def new(name: str, *, replace: bool = False) -> NewImage:
    return NewImage(name=name, owner=UserId(1000), replace=replace)


def qemu(*words: str | Path) -> None:
    subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)


def write(image: Path, pattern: str, offset: int) -> None:
    """Let a guest have written 64 KiB to it."""
    qemu("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {offset} 64k", image)


def same(one: Path, other: Path) -> None:
    """Guests see the same in both: qemu-img says so."""
    qemu("qemu-img", "compare", "-q", one, other)


@contextmanager
def opened(image: Path, *options: str) -> Iterator[None]:
    """While a program of QEMU's has the image open under its locks."""
    command = ["qemu-io", *options, "-f", "raw", str(image)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"read 0 512\n")
        process.stdin.flush()
        assert b"read" in process.stdout.readline()
        yield
        process.stdin.close()
        process.stdout.read()


# ---- what they hold ------------------------------------------------------------------------------


def test_a_guest_sees_the_same_in_whatever_is_made(store: ImageFolder, images: Path) -> None:
    store.clone("base.raw", new("one.qcow2"), Bar())
    write(images / "one.qcow2", "0x11", 0)
    store.clone("one.qcow2", new("teams/two.qcow2"), Bar())
    write(images / "teams/two.qcow2", "0x22", 512 * 1024)
    (images / "other.raw").write_bytes(b"else" * 256 * 1024)

    store.copy("teams/two.qcow2", new("copy.qcow2"), Bar())
    store.rebase("teams/two.qcow2", None, new("whole.qcow2"), Bar())
    store.rebase("teams/two.qcow2", "other.raw", new("moved.qcow2"), Bar())
    store.rebase("base.raw", "other.raw", new("from-raw.qcow2"), Bar())

    for made in ("copy.qcow2", "whole.qcow2", "moved.qcow2"):
        same(images / "teams/two.qcow2", images / made)
    same(images / "base.raw", images / "from-raw.qcow2")
    backings = {image.name: image.backing for image in store.images()}
    assert backings["copy.qcow2"] == "one.qcow2"
    assert backings["moved.qcow2"] == backings["from-raw.qcow2"] == "other.raw"


def test_how_far_a_conversion_is_is_told_while_it_goes_on(store: ImageFolder, images: Path) -> None:
    (images / "large.raw").write_bytes(b"data" * 8 * MIB)
    bar = Bar()

    store.rebase("large.raw", None, new("whole.qcow2"), bar)

    assert any(0 < done < total for done, total in bar.told)
    assert bar.told == sorted(bar.told)
    assert {total for _, total in bar.told} == {32 * MIB}
    assert (bar.told[0][0], bar.told[-1][0]) == (0, 32 * MIB)


def test_a_conversion_that_is_cancelled_ends_at_once_and_leaves_nothing(
    store: ImageFolder, images: Path
) -> None:
    (images / "large.raw").write_bytes(b"data" * 4 * MIB)

    with pytest.raises(Cancelled):
        store.rebase("large.raw", None, new("new"), Bar(lambda done, _: done > 0))
    pulled = Bar()
    pulled.leash.pull()
    with pytest.raises(Cancelled):
        store.rebase("large.raw", None, new("new"), pulled)

    assert left_in(images) == ["base.raw", "large.raw"]


def test_holes_stay_holes(store: ImageFolder, images: Path) -> None:
    with (images / "sparse.raw").open("wb") as file:
        file.seek(64 * MIB)
        file.write(b"end" * 4096)
        file.truncate(128 * MIB)

    store.copy("sparse.raw", new("copy.raw"), Bar())
    intake = store.receive(new("taken.raw"), 3 * MIB)
    for piece in (bytes(MIB), b"x" * MIB, bytes(MIB)):
        intake.take(piece)
    intake.keep(Bar())

    assert (images / "copy.raw").read_bytes() == (images / "sparse.raw").read_bytes()
    assert (images / "copy.raw").stat().st_blocks * 512 < MIB
    assert (images / "taken.raw").stat().st_size == 3 * MIB
    assert (images / "taken.raw").stat().st_blocks * 512 <= MIB + 4096


def test_a_link_is_followed_inside_and_counts_as_the_image(
    store: ImageFolder, images: Path
) -> None:
    (images / "teams").mkdir()
    (images / "teams/link").symlink_to("../base.raw")

    store.copy("teams/link", new("copy.raw"), Bar())
    store.clone("teams/link", new("clone.qcow2"), Bar())

    assert (images / "copy.raw").read_bytes() == (images / "base.raw").read_bytes()
    assert store.image("clone.qcow2").backing == "base.raw"
    assert store.same_as("base.raw") == store.same_as("teams/link") == ["base.raw", "teams/link"]
    assert list(store.backs("base.raw")) == ["clone.qcow2", "teams/link"]


def test_a_deleted_link_leaves_what_it_led_to(store: ImageFolder, images: Path) -> None:
    (images / "link").symlink_to("base.raw")

    store.delete("link")

    assert left_in(images) == ["base.raw"]


# ---- what may lie in their way -------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_is_made_outside(store: ImageFolder, images: Path, name: str) -> None:
    before = sorted(images.parent.rglob("*"))

    for make in (store.copy, store.clone):
        with pytest.raises((Refused, NoSuchImage)):
            make("base.raw", new(name), Bar())
    with pytest.raises((Refused, NoSuchImage)):
        store.rebase("base.raw", None, new(name), Bar())
    with pytest.raises((Refused, NoSuchImage)):
        store.receive(new(name), 512)
    with pytest.raises(NoSuchImage):
        store.delete(name)

    assert sorted(images.parent.rglob("*")) == before


def test_no_folder_is_entered_by_a_link(store: ImageFolder, images: Path) -> None:
    (images / "out").symlink_to(images.parent)
    (images / "in").symlink_to(images)
    before = sorted(images.parent.iterdir())

    for folder in ("out", "in"):
        with pytest.raises(Refused, match="no folder"):
            store.copy("base.raw", new(f"{folder}/new.raw"), Bar())
        for act in (
            lambda name: store.copy(name, new("new.raw"), Bar()),
            store.delete,
            store.image,
            lambda name: store.read(name, 0, 1),
        ):
            with pytest.raises(NoSuchImage):
                act(f"{folder}/secret.raw")
        assert not store.has(f"{folder}/base.raw")

    assert sorted(images.parent.iterdir()) == before


def test_a_link_that_leads_outside_is_neither_read_nor_written_through(
    store: ImageFolder, images: Path
) -> None:
    secret = images.parent / "secret.raw"
    (images / "leads-out").symlink_to(secret)
    (images / "dangling").symlink_to(images.parent / "new.raw")

    for name in ("leads-out", "dangling"):
        with pytest.raises(NoSuchImage):
            store.copy(name, new("copy.raw"), Bar())
        with pytest.raises(Refused, match="already"):
            store.copy("base.raw", new(name), Bar())
        store.copy("base.raw", new(name, replace=True), Bar())
        assert not (images / name).is_symlink()

    assert secret.read_bytes() == b"!" * 4096
    assert not (images.parent / "new.raw").exists()


def test_a_part_that_was_put_there_by_another_is_not_written_through(
    store: ImageFolder, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    secret = images.parent / "secret.raw"
    (images / f".new.raw.guessed.{parts.OURS}.part").symlink_to(secret)

    with pytest.raises(ImagesFailed):
        store.copy("base.raw", new("new.raw"), Bar())

    assert secret.read_bytes() == b"!" * 4096


@pytest.mark.parametrize("backing", ["/etc/passwd", "../secret.raw", "nbd:localhost:1", "gone"])
def test_an_image_that_reaches_outside_is_not_made_from(
    store: ImageFolder, images: Path, backing: str
) -> None:
    (images / "spy.qcow2").write_bytes(qcow2(backing=backing))
    (images / "deep.qcow2").write_bytes(qcow2(backing="spy.qcow2", backing_format="qcow2"))

    for name in ("spy.qcow2", "deep.qcow2"):
        for make in (store.copy, store.clone):
            with pytest.raises(Refused, match="no image in the store"):
                make(name, new("new.qcow2"), Bar())
        with pytest.raises(Refused, match="no image in the store"):
            store.rebase(name, None, new("new.qcow2"), Bar())
        with pytest.raises(Refused, match="no image in the store"):
            store.rebase("base.raw", name, new("new.qcow2"), Bar())


def test_nothing_is_made_from_an_image_whose_base_qemu_would_have_to_guess(
    store: ImageFolder, images: Path
) -> None:
    (images / "vague.qcow2").write_bytes(qcow2(backing="base.raw", backing_format=""))
    (images / "deep.qcow2").write_bytes(qcow2(backing="vague.qcow2", backing_format="qcow2"))

    for name in ("vague.qcow2", "deep.qcow2"):
        for make in (store.copy, store.clone):
            with pytest.raises(Refused, match=r"qemu-img rebase -u -b base\.raw -F raw"):
                make(name, new("new.qcow2"), Bar())


def test_images_that_are_based_on_each_other_are_refused(store: ImageFolder, images: Path) -> None:
    for name, other in (("a.qcow2", "b.qcow2"), ("b.qcow2", "a.qcow2")):
        (images / name).write_bytes(qcow2(backing=other, backing_format="qcow2"))

    with pytest.raises(Refused, match="based on itself"):
        store.rebase("a.qcow2", None, new("new.qcow2"), Bar())


def test_a_pipe_holds_nobody_up(store: ImageFolder, images: Path) -> None:
    os.mkfifo(images / "pipe")

    for act in (lambda: store.copy("pipe", new("new"), Bar()), lambda: store.read("pipe", 0, 1)):
        with pytest.raises(NoSuchImage):
            act()


# ---- who has it open -----------------------------------------------------------------------------


def test_an_image_that_a_guest_writes_to_is_not_read(store: ImageFolder, images: Path) -> None:
    makes: list[Callable[[], None]] = [
        lambda: store.copy("base.raw", new("new"), Bar()),
        lambda: store.rebase("base.raw", None, new("new"), Bar()),
    ]

    with opened(images / "base.raw"):
        for make in makes:
            with pytest.raises(ImageInUse, match="writes to it"):
                make()
        with pytest.raises(ImageInUse, match="cannot be deleted"):
            store.delete("base.raw")

    store.copy("base.raw", new("new"), Bar())
    store.delete("base.raw")


def test_an_image_that_guests_only_read_is_copied_but_not_deleted(
    store: ImageFolder, images: Path
) -> None:
    with opened(images / "base.raw", "-r"):
        store.copy("base.raw", new("copy.raw"), Bar())
        store.rebase("base.raw", None, new("whole.qcow2"), Bar())
        with pytest.raises(ImageInUse):
            store.delete("base.raw")

    assert store.has("base.raw")


def test_no_guest_begins_to_write_while_an_image_is_copied(
    store: ImageFolder, images: Path
) -> None:
    attempts = []

    class Meddler(Bar):
        def note(self, done: int, total: int) -> None:
            command = ["qemu-io", "-f", "raw", "-c", "write 0 512", str(images / "base.raw")]
            attempts.append(subprocess.run(command, capture_output=True, check=False).stderr)
            super().note(done, total)

    store.copy("base.raw", new("copy.raw"), Meddler())

    assert attempts
    assert all(b'Failed to get "write" lock' in one for one in attempts)


# ---- what is left --------------------------------------------------------------------------------


def test_what_dead_processes_left_is_swept_and_nothing_else(
    store: ImageFolder, images: Path
) -> None:
    (images / "teams").mkdir()
    left = [".new.raw.0011aabb.deadbeef.part", "teams/.x.0011aabb.deadbeef.part"]
    for name in left:
        (images / name).write_bytes(b"half")
    intake = store.receive(new("ours.raw"), 512)
    intake.take(bytes(512))

    swept = store.sweep()
    intake.keep(Bar())

    assert sorted(Path(one).relative_to(images).as_posix() for one in swept) == sorted(left)
    assert [one.name for one in store.images()] == ["base.raw", "ours.raw"]
    assert store.sweep() == []


def test_whose_an_image_is_stands_beside_it_and_goes_with_it(
    store: ImageFolder, images: Path
) -> None:
    store.copy("base.raw", new("mine.raw"), Bar())
    another = ImageFolder(images.parent, SystemCommands())

    owners = [another.image(name).user_id for name in ("mine.raw", "base.raw")]
    another.delete("mine.raw")
    (images / "mine.raw").write_bytes(bytes(512))

    assert owners == [1000, None]
    assert another.image("mine.raw").user_id is None


def test_a_card_that_is_no_card_makes_nobody_the_owner(store: ImageFolder, images: Path) -> None:
    cards = [b"", b"{", b'{"owner": "root"}', b"\xff\xfe", b"[" * 5000]
    for number, card in enumerate(cards):
        (images / f"{number}.raw").write_bytes(bytes(512))
        (images / f".{number}.raw.tashi").write_bytes(card)
    (images / "5.raw").write_bytes(bytes(512))
    (images / ".5.raw.tashi").symlink_to("/etc/passwd")

    assert {one.user_id for one in store.images()} == {None}


def test_the_longest_name_can_be_made(store: ImageFolder) -> None:
    name = new_image_name("ü" * 100)

    store.copy("base.raw", new(name), Bar())

    assert store.has(name)
