"""Who had the folder of images before changes nothing in it, wherever it was when it lost it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from disk_images import Bar, left_in
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import ImagesFailed, ReignLost
from tashi.domain.identity import UserId
from tashi.ports.images import NewImage

ALICE, BOB = UserId(1000), UserId(1001)


def new(name: str, owner: UserId = ALICE, *, replace: bool = False) -> NewImage:
    return NewImage(name=name, owner=owner, replace=replace)


class Two:
    """A folder with an image, and two stores on it: the `former` one has looked at it."""

    def __init__(self, prefix: Path) -> None:
        self.images = prefix / "images"
        self.images.mkdir()
        (self.images / "base.raw").write_bytes(b"b" * 4096)
        self.former = ImageFolder(prefix, SystemCommands())
        self.latter = ImageFolder(prefix, SystemCommands())
        self.former.images()

    def files(self) -> dict[str, bytes]:
        """What is in the folder, but for the latter's hold on it."""
        return {name: (self.images / name).read_bytes() for name in left_in(self.images)}


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


class TakesOver(Bar):
    """A bar at whose first word another has the folder."""

    def __init__(self, other: ImageFolder) -> None:
        super().__init__()
        self._other = other

    def note(self, done: int, total: int) -> None:
        """Go on, in another's folder."""
        self._other.images()
        super().note(done, total)


def bring_in(store: ImageFolder, name: str, bar: Bar) -> None:
    intake = store.receive(new(name), 512)
    intake.take(b"i" * 512)
    intake.keep(bar)


@pytest.mark.parametrize(
    "make",
    [
        lambda store, bar: store.copy("base.raw", new("new.raw"), bar),
        lambda store, bar: store.copy("base.raw", new("base.raw", replace=True), bar),
        lambda store, bar: store.clone("base.raw", new("new.qcow2"), bar),
        lambda store, bar: store.rebase("base.raw", None, new("new.qcow2"), bar),
        lambda store, bar: bring_in(store, "new.raw", bar),
    ],
    ids=["copy", "replace", "clone", "rebase", "import"],
)
def test_what_was_begun_before_another_had_the_folder_does_not_end_in_an_image(
    two: Two, make: Callable[[ImageFolder, Bar], None]
) -> None:
    before = two.files()

    with pytest.raises(ReignLost):
        make(two.former, TakesOver(two.latter))

    assert two.files() == before
    assert [image.name for image in two.latter.images()] == ["base.raw"]


def test_an_image_is_not_deleted_by_who_had_the_folder_before(two: Two) -> None:
    two.latter.copy("base.raw", new("mine.raw", BOB), Bar())

    with pytest.raises(ReignLost):
        two.former.delete("mine.raw")

    assert two.latter.image("mine.raw").user_id == BOB


@pytest.mark.parametrize("call", ["rename", "link", "unlink"])
def test_who_is_frozen_before_any_step_changes_nothing_afterwards(
    two: Two, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    step = getattr(os, call)
    taken: list[str] = []

    def frozen(*words: object, **more: object) -> None:
        if not taken:
            taken.append(call)
            two.latter.copy("base.raw", new("new.raw", BOB), Bar())
        step(*words, **more)

    monkeypatch.setattr(os, call, frozen)
    with pytest.raises((ReignLost, ImagesFailed)):
        two.former.copy("base.raw", new("new.raw"), Bar())

    assert taken
    assert two.latter.image("new.raw").user_id == BOB


def test_who_does_not_lead_any_more_at_its_first_look_takes_nothing_from_who_does(
    two: Two,
) -> None:
    def confirm() -> None:
        raise ReignLost("The books belong to another cluster manager now.")

    late = ImageFolder(two.images.parent, SystemCommands(), confirm)
    two.latter.images()

    with pytest.raises(ReignLost):
        late.images()

    two.latter.copy("base.raw", new("new.raw"), Bar())
    assert two.files().keys() == {".new.raw.tashi", "base.raw", "new.raw"}


def test_who_is_frozen_once_it_is_confirmed_takes_nothing_from_its_successor(two: Two) -> None:
    late = ImageFolder(two.images.parent, SystemCommands(), lambda: two.latter.delete("base.raw"))

    assert late.images() == []

    with pytest.raises(ReignLost):
        bring_in(late, "late.raw", Bar())
    bring_in(two.latter, "new.raw", Bar())
    assert two.files().keys() == {".new.raw.tashi", "new.raw"}


def test_what_lies_in_another_file_system_is_changed_where_it_is(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def refuse(
        old: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        if src_dir_fd != dst_dir_fd:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", refuse)

    two.latter.copy("base.raw", new("new.raw"), Bar())
    two.latter.delete("base.raw")

    assert two.files().keys() == {".new.raw.tashi", "new.raw"}


def test_a_folder_that_may_only_be_read_can_be_looked_at(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *, exist_ok: bool = False) -> None:
        assert exist_ok
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)

    assert two.latter.has("base.raw")
    with pytest.raises(ImagesFailed, match="Permission denied"):
        two.latter.delete("base.raw")
