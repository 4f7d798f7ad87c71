"""Claims: what is done to images beside each other, and which looks at them still count."""

import pytest

from tashi.clustermanager import claims as room
from tashi.clustermanager.claims import Claim, Claims
from tashi.domain.books import Books
from tashi.domain.errors import ImageInUse, ImagesFailed
from tashi.domain.instance import Disk

NOTHING = Books()


def claim(**images: str) -> Claim:
    return Claim(words="something", **{kind: frozenset((name,)) for kind, name in images.items()})


@pytest.mark.parametrize(
    ("first", "second", "go_together"),
    [
        ({"reads": "a"}, {"reads": "a"}, True),
        ({"reads": "a"}, {"bases": "a"}, True),
        ({"reads": "a"}, {"changes": "a"}, False),
        ({"changes": "a"}, {"reads": "a"}, False),
        ({"changes": "a"}, {"changes": "a"}, False),
        ({"makes": "a"}, {"makes": "a"}, False),
        ({"bases": "a"}, {"changes": "a"}, False),
        ({"changes": "a"}, {"changes": "b"}, True),
    ],
)
def test_readers_go_together_and_writers_with_nobody(
    first: dict[str, str], second: dict[str, str], go_together: bool
) -> None:
    claims, held = Claims(), claim(**first)
    claims.take(NOTHING, held)

    try:
        claims.take(NOTHING, claim(**second))
        went_together = True
    except ImageInUse:
        went_together = False
        claims.release(held)
        claims.take(NOTHING, claim(**second))

    assert went_together is go_together


def test_a_refused_claim_holds_nothing() -> None:
    claims = Claims()
    claims.take(NOTHING, claim(changes="b"))

    with pytest.raises(ImageInUse):
        claims.take(NOTHING, claim(reads="a", changes="b"))

    claims.take(NOTHING, claim(changes="a"))


def test_releasing_twice_or_what_was_never_held_is_harmless() -> None:
    claims, held = Claims(), claim(changes="a")
    claims.take(NOTHING, held)
    claims.release(held)
    other = claim(changes="a")
    claims.take(NOTHING, other)

    claims.release(held)

    with pytest.raises(ImageInUse):
        claims.take(NOTHING, claim(reads="a"))


@pytest.mark.parametrize(
    ("held", "persistent", "allowed"),
    [
        ({"reads": "a"}, False, True),
        ({"reads": "a"}, True, False),
        ({"bases": "a"}, False, True),
        ({"bases": "a"}, True, False),
        ({"changes": "a"}, False, False),
        ({"makes": "a"}, False, False),
        ({"changes": "b"}, True, True),
    ],
)
def test_an_instance_is_created_beside_readers_only_and_persistently_beside_nobody(
    held: dict[str, str], persistent: bool, allowed: bool
) -> None:
    claims = Claims()
    claims.take(NOTHING, claim(**held))

    try:
        claims.check_disks([Disk("a", persistent)], claims.turn)
        was_allowed = True
    except ImageInUse:
        was_allowed = False

    assert was_allowed is allowed


@pytest.mark.parametrize(
    ("done", "persistent", "counts"),
    [
        ({"changes": "a"}, False, False),
        ({"bases": "a"}, False, True),
        ({"bases": "a"}, True, False),
        ({"reads": "a"}, True, True),
        ({"changes": "b"}, True, True),
    ],
)
def test_a_look_counts_unless_its_image_was_changed_since(
    done: dict[str, str], persistent: bool, counts: bool
) -> None:
    claims, held = Claims(), claim(**done)
    since = claims.turn
    claims.take(NOTHING, held)
    claims.release(held)
    claims.check_disks([Disk("a", persistent)], claims.turn)

    try:
        claims.check_disks([Disk("a", persistent)], since)
        counted = True
    except ImagesFailed:
        counted = False

    assert counted is counts


def test_a_look_that_is_older_than_what_is_remembered_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_MOST_REMEMBERED", 2)
    claims = Claims()
    since = claims.turn
    for name in ("a", "b", "c"):
        held = claim(changes=name)
        claims.take(NOTHING, held)
        claims.release(held)

    with pytest.raises(ImagesFailed):
        claims.check_disks([Disk("a")], since)
    claims.check_disks([Disk("a")], claims.turn)


def test_what_is_forgotten_of_bases_leaves_older_looks_at_changed_images_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_MOST_REMEMBERED", 1)
    claims = Claims()
    since = 0

    def do(**images: str) -> None:
        held = claim(**images)
        claims.take(NOTHING, held)
        claims.release(held)

    do(bases="x")
    since = claims.turn
    do(changes="a")
    do(changes="b")
    do(bases="y")

    with pytest.raises(ImagesFailed):
        claims.check_disks([Disk("a")], since)
