"""What every image store promises of images that are made: whole or not at all, and only inside."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.stores import PLACES, Place
from disk_images import KIB, MIB, Bar, qcow2
from tashi.domain.errors import Cancelled, ImagesFailed, NoSuchImage, Refused
from tashi.domain.identity import UserId
from tashi.ports.images import ImageStore, NewImage

ALICE = UserId(1000)
Make = Callable[[ImageStore, str, NewImage, Bar], None]
VERBS: dict[str, Make] = {
    "copy": lambda store, source, new, bar: store.copy(source, new, bar),
    "clone": lambda store, source, new, bar: store.clone(source, new, bar),
    "rebase": lambda store, source, new, bar: store.rebase(source, None, new, bar),
    "rebase-onto": lambda store, source, new, bar: store.rebase(source, "debian.raw", new, bar),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path)
    return made


@pytest.fixture(params=VERBS)
def make(request: pytest.FixtureRequest) -> Make:
    return VERBS[request.param]


def new(name: str, *, replace: bool = False) -> NewImage:
    return NewImage(name=name, owner=ALICE, replace=replace)


def take_in(store: ImageStore, name: str, content: bytes) -> None:
    intake = store.receive(new(name), len(content))
    try:
        for begin in range(0, len(content), 100 * KIB):
            intake.take(content[begin : begin + 100 * KIB])
    except BaseException:
        intake.drop()
        raise
    intake.keep(Bar())


def names(store: ImageStore) -> list[str]:
    return [image.name for image in store.images()]


def content(store: ImageStore, name: str) -> bytes:
    return store.read(name, 0, 10 * MIB).content


# ---- copy, clone, rebase -------------------------------------------------------------------------


def test_what_was_made_is_an_image_of_its_maker(place: Place, make: Make) -> None:
    bar = Bar()

    make(place.store, "teams/base.raw", new("teams/mine.img"), bar)

    made = place.store.image("teams/mine.img")
    assert place.store.has("teams/mine.img")
    assert (made.user_id, made.virtual_size) == (ALICE, 4096)
    assert [one for one in place.store.images() if one.name == made.name] == [made]
    assert bar.told == sorted(bar.told)
    assert bar.told[0][0] == 0


def test_a_copy_is_the_same_byte_by_byte(place: Place) -> None:
    take_in(place.store, "some.raw", b"Tashi" * KIB + bytes(MIB) + b"end!" * KIB)

    place.store.copy("some.raw", new("new/folder/copy.raw"), Bar())

    assert content(place.store, "new/folder/copy.raw") == content(place.store, "some.raw")


def test_a_clone_is_based_on_its_source_wherever_it_is(place: Place) -> None:
    place.store.clone("teams/web/front.raw", new("clone.qcow2"), Bar())
    place.store.clone("clone.qcow2", new("other/deep/clone.qcow2"), Bar())

    images = {image.name: image for image in place.store.images()}
    assert images["clone.qcow2"].backing == "teams/web/front.raw"
    assert images["other/deep/clone.qcow2"].backing == "clone.qcow2"
    assert images["teams/web/front.raw"].backs == ("clone.qcow2",)
    assert place.store.backs("clone.qcow2") in (
        ["other/deep/clone.qcow2"],
        images["clone.qcow2"].backs,
    )


def test_a_copy_of_a_clone_is_based_on_the_same_also_in_another_folder(place: Place) -> None:
    place.store.clone("debian.raw", new("clone.qcow2"), Bar())

    place.store.copy("clone.qcow2", new("teams/copy.qcow2"), Bar())

    assert place.store.image("teams/copy.qcow2").backing == "debian.raw"
    assert place.store.image("debian.raw").backs == ("clone.qcow2", "teams/copy.qcow2")


def test_a_rebased_image_is_based_on_nothing_or_on_what_was_asked_for(place: Place) -> None:
    place.store.clone("debian.raw", new("clone.qcow2"), Bar())

    place.store.rebase("clone.qcow2", None, new("whole.qcow2"), Bar())
    place.store.rebase("clone.qcow2", "teams/base.raw", new("teams/web/moved.qcow2"), Bar())

    assert place.store.image("whole.qcow2").backing is None
    assert place.store.image("whole.qcow2").format == "qcow2"
    assert place.store.image("teams/web/moved.qcow2").backing == "teams/base.raw"


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(
    place: Place, make: Make
) -> None:
    before = content(place.store, "teams/base.raw")

    with pytest.raises(Refused, match="already"):
        make(place.store, "debian.raw", new("teams/base.raw"), Bar())
    kept = content(place.store, "teams/base.raw")
    make(place.store, "debian.raw", new("teams/base.raw", replace=True), Bar())

    assert kept == before
    assert place.store.image("teams/base.raw").user_id == ALICE


def test_what_an_image_backs_is_known_without_a_look_at_all_of_them(place: Place) -> None:
    place.store.clone("debian.raw", new("one.qcow2"), Bar())
    place.store.clone("debian.raw", new("teams/two.qcow2"), Bar())

    two = place.store.image("debian.raw").backs
    place.store.delete("one.qcow2")
    one = place.store.image("debian.raw").backs
    place.store.copy("teams/base.raw", new("teams/two.qcow2", replace=True), Bar())
    none = place.store.image("debian.raw").backs

    assert (two, one, none) == (("one.qcow2", "teams/two.qcow2"), ("teams/two.qcow2",), ())


def test_no_image_takes_the_place_of_the_one_that_it_is_based_on(place: Place) -> None:
    mine = new("debian.raw", replace=True)
    before = content(place.store, "debian.raw")

    with pytest.raises(Refused, match="based on itself"):
        place.store.clone("debian.raw", mine, Bar())
    with pytest.raises(Refused, match="based on itself"):
        place.store.rebase("teams/base.raw", "debian.raw", mine, Bar())

    assert content(place.store, "debian.raw") == before


def test_an_image_may_be_made_independent_in_its_own_place(place: Place) -> None:
    place.store.clone("debian.raw", new("mine.qcow2"), Bar())

    place.store.rebase("mine.qcow2", None, new("mine.qcow2", replace=True), Bar())

    assert place.store.image("mine.qcow2").backing is None
    assert place.store.image("debian.raw").backs == ()
    assert place.left_over() == []


@pytest.mark.parametrize("moment", [0.0, 1.0])
def test_what_is_cancelled_leaves_nothing(place: Place, make: Make, moment: float) -> None:
    before = names(place.store)

    with pytest.raises(Cancelled):
        make(
            place.store,
            "debian.raw",
            new("new/folder/late.img"),
            Bar(lambda done, total: done >= moment * total),
        )

    assert names(place.store) == before
    assert place.left_over() == []


def test_what_is_not_there_cannot_be_made_from(place: Place, make: Make) -> None:
    with pytest.raises(NoSuchImage):
        make(place.store, "gone.raw", new("new.img"), Bar())

    assert place.left_over() == []


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "", "teams", ".", "a\0b"])
def test_nothing_outside_is_read(place: Place, make: Make, name: str) -> None:
    with pytest.raises((Refused, NoSuchImage)):
        make(place.store, name, new("new.img"), Bar())
    with pytest.raises((Refused, NoSuchImage)):
        place.store.read(name, 0, 1)

    assert "new.img" not in names(place.store)


# ---- delete --------------------------------------------------------------------------------------


def test_what_is_deleted_is_gone(place: Place) -> None:
    place.store.copy("debian.raw", new("mine.raw"), Bar())

    place.store.delete("mine.raw")

    assert not place.store.has("mine.raw")
    assert place.left_over() == []
    with pytest.raises(NoSuchImage):
        place.store.delete("mine.raw")


@pytest.mark.parametrize("name", ["../secret.raw", "", "..", "teams", "gone.raw", "debian.raw/x"])
def test_nothing_else_is_deleted(place: Place, name: str) -> None:
    before = names(place.store)

    with pytest.raises((NoSuchImage, ImagesFailed)):
        place.store.delete(name)

    assert names(place.store) == before


# ---- reading -------------------------------------------------------------------------------------


def test_pieces_of_one_version_make_up_the_file(place: Place) -> None:
    take_in(place.store, "some.raw", b"Tashi" * KIB + bytes(3 * KIB))

    pieces = [place.store.read("some.raw", at, 5 * KIB) for at in (0, 5 * KIB, 10 * KIB)]
    place.store.copy("debian.raw", new("some.raw", replace=True), Bar())
    after = place.store.read("some.raw", 0, 1)

    assert [piece.content for piece in pieces] == [b"Tashi" * KIB, bytes(3 * KIB), b""]
    assert {piece.size for piece in pieces} == {8 * KIB}
    assert len({piece.version for piece in pieces}) == 1
    assert after.version != pieces[0].version


# ---- taking in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [b"raw!" * 200 * KIB, qcow2(MIB)], ids=["raw", "qcow2"])
def test_what_is_taken_in_piece_by_piece_is_the_same_in_the_end(place: Place, image: bytes) -> None:
    take_in(place.store, "teams/new.img", image)

    assert content(place.store, "teams/new.img") == image
    assert place.store.image("teams/new.img").user_id == ALICE


def test_what_is_on_its_way_is_no_image_yet(place: Place) -> None:
    before = names(place.store)
    intake = place.store.receive(new("new.raw"), 1024)
    intake.take(bytes(512))

    during = (names(place.store), place.store.has("new.raw"), intake.received)
    intake.drop()

    assert during == (before, False, 512)
    assert names(place.store) == before
    assert place.left_over() == []


@pytest.mark.parametrize(
    ("image", "base"),
    [
        (bytes(512), None),
        (qcow2(), None),
        (qcow2(backing="debian.raw"), "debian.raw"),
        (qcow2(backing="/etc/passwd"), None),
    ],
)
def test_on_what_it_is_based_is_known_before_it_is_kept(
    place: Place, image: bytes, base: str | None
) -> None:
    intake = place.store.receive(new("new.img"), len(image))
    intake.take(image)
    found = intake.base()
    intake.drop()

    assert found == base


def test_what_was_dropped_is_not_kept_any_more(place: Place) -> None:
    intake = place.store.receive(new("new.raw"), 512)
    intake.take(bytes(512))
    intake.drop()
    intake.drop()

    with pytest.raises(Refused):
        intake.keep(Bar())

    assert "new.raw" not in names(place.store)


@pytest.mark.parametrize(
    "image",
    [
        b"This is a letter.\n",
        b"",
        b"QFI\xfb" + b"\xff" * 508,
        b"KDMV" + bytes(508),
        b"# Disk DescriptorFile\nversion=1\n".ljust(512),
        qcow2(backing="/etc/passwd"),
        qcow2(backing="../secret.raw"),
        qcow2(backing="gone.raw"),
        qcow2(backing="new.img"),
        qcow2(backing="nbd://192.0.2.1/x"),
        qcow2(backing="json:{}"),
        qcow2(backing="debian.raw", backing_format=""),
        qcow2(backing="debian.raw", backing_format="qcow2"),
        qcow2(features=1 << 2),
    ],
)
def test_what_guests_cannot_be_given_is_not_taken_in(place: Place, image: bytes) -> None:
    with pytest.raises(Refused):
        take_in(place.store, "new.img", image)

    assert "new.img" not in names(place.store)
    assert place.left_over() == []


def test_an_image_that_is_based_on_one_in_the_store_is_taken_in(place: Place) -> None:
    take_in(place.store, "teams/web/new.qcow2", qcow2(4096, backing="../base.raw"))

    assert place.store.image("teams/web/new.qcow2").backing == "teams/base.raw"


def test_more_than_was_said_is_refused(place: Place) -> None:
    with pytest.raises(Refused, match="more came"):
        take_in_more(place.store)

    assert place.left_over() == []


def take_in_more(store: ImageStore) -> None:
    intake = store.receive(new("new.raw"), 512)
    try:
        intake.take(bytes(513))
    finally:
        intake.drop()


def test_what_there_is_no_room_for_is_refused_at_once(place: Place) -> None:
    with pytest.raises(ImagesFailed, match="no room"):
        place.store.receive(new("new.raw"), 1 << 60)

    assert 0 < place.store.room() < 1 << 60
    assert place.left_over() == []


def test_a_taken_name_is_refused_before_anything_is_sent(place: Place) -> None:
    with pytest.raises(Refused, match="already"):
        place.store.receive(new("debian.raw"), 512)


def test_of_two_that_come_at_once_under_one_name_one_is_refused(place: Place) -> None:
    first, second = (place.store.receive(new("new.raw"), 512) for _ in range(2))
    for intake, letter in ((first, b"1"), (second, b"2")):
        intake.take(letter * 512)

    second.keep(Bar())
    with pytest.raises(Refused, match="already"):
        first.keep(Bar())

    assert content(place.store, "new.raw") == b"2" * 512
    assert place.left_over() == []
