"""Images that clients send piece by piece, and read piece by piece."""

import pytest

from cluster.cluster import ALICE, Cluster
from cluster.image_calls import BOB, DATA, begin, finish, images, job, new_cluster, send
from disk_images import qcow2
from fakes.faulty_store import Fault
from tashi.clustermanager.imports import PIECE_BYTES
from tashi.domain.errors import (
    BadRequest,
    ImageInUse,
    ImagesFailed,
    NoSuchJob,
    NotPermitted,
    OutcomeUnknown,
    Refused,
    StoreFailed,
    TashiError,
)
from tashi.domain.jobs import JobState
from tashi.domain.permissions import ROOT, Role
from tashi.wire.images import ImportForm, JobForm, PieceForm


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return new_cluster()


RAW = bytes(range(256)) * 4096 + bytes(PIECE_BYTES) + b"end!" * 128


def test_an_image_comes_in_piece_by_piece(cluster: Cluster) -> None:
    calls = cluster.calls()

    to = begin(cluster, RAW)
    while to.next * to.piece_bytes < len(RAW):
        to = send(calls, to, RAW, to.next)
    during = images(cluster).keys()
    done = finish(cluster, to, RAW)
    piece = calls.call("readImage", PieceForm, name="new.img", offset=0, length=PIECE_BYTES)

    assert "new.img" not in during
    assert (done.state, done.words) == (JobState.DONE, "importing new.img")
    assert images(cluster)["new.img"].user_id == ALICE
    assert cluster.images.kept["new.img"].content == RAW
    assert (piece.content, piece.size) == (RAW[:PIECE_BYTES], len(RAW))


def test_a_piece_may_come_twice_but_not_too_early(cluster: Cluster) -> None:
    calls = cluster.calls()
    to = begin(cluster, RAW)

    with pytest.raises(Refused, match="Piece 1 came where piece 0 is awaited"):
        send(calls, to, RAW, 1)
    for number in (0, 0, 1, 0, 1, 2, 3):
        to = send(calls, to, RAW, number)

    assert finish(cluster, to, RAW).state is JobState.DONE
    assert cluster.images.kept["new.img"].content == RAW


def test_whoever_begins_again_goes_on(cluster: Cluster) -> None:
    to = begin(cluster, RAW)
    send(cluster.calls(), to, RAW, 0)

    again = begin(cluster, RAW)

    assert (again.id, again.next) == (to.id, 1)
    with pytest.raises(ImageInUse, match=r"importing new\.img"):
        begin(cluster, RAW, user=BOB)
    with pytest.raises(ImageInUse):
        begin(cluster, RAW + bytes(512))
    with pytest.raises(NotPermitted):
        send(cluster.calls(BOB), to, RAW, 1)


def test_what_arrives_damaged_or_too_short_is_not_kept(cluster: Cluster) -> None:
    calls = cluster.calls()
    content = RAW[:1024]
    to = begin(cluster, content)

    with pytest.raises(Refused, match="0 of 1024 bytes"):
        finish(cluster, to, content)
    with pytest.raises(Refused, match="0 has 512 bytes"):
        calls.call("sendPiece", ImportForm, import_id=to.id, number=0, content=content[:512])
    calls.call("sendPiece", ImportForm, import_id=to.id, number=0, content=content[::-1])
    with pytest.raises(Refused, match="not arrive as it was sent"):
        finish(cluster, to, content)
    cluster.settle()
    with pytest.raises(NoSuchJob):
        send(calls, to, content, 1)

    assert "new.img" not in images(cluster)
    assert begin(cluster, content).next == 0


@pytest.mark.parametrize("content", [b"A letter.", qcow2(backing="/etc/passwd")])
def test_what_is_no_image_or_reaches_outside_is_refused_in_the_end(
    cluster: Cluster, content: bytes
) -> None:
    to = begin(cluster, content)
    send(cluster.calls(), to, content, 0)

    ended = finish(cluster, to, content)

    assert (ended.state, ended.kind) == (JobState.FAILED, "Refused")
    assert "new.img" not in images(cluster)
    assert begin(cluster, content).id != to.id


def test_what_is_based_on_a_disk_that_is_written_to_does_not_come_in(cluster: Cluster) -> None:
    content = qcow2(backing="data.qcow2")
    to = begin(cluster, content)
    send(cluster.calls(), to, content, 0)
    db = cluster.create("db", disks=DATA)
    cluster.settle()

    with pytest.raises(ImageInUse, match=r"instance 1 \(db\)"):
        finish(cluster, to, content)
    cluster.command("destroyVm", db)
    cluster.settle()

    assert finish(cluster, to, content).state is JobState.DONE
    assert images(cluster)["new.img"].backing == "data.qcow2"


@pytest.mark.parametrize(
    ("name", "size", "kind", "words"),
    [
        ("web.qcow2", 512, Refused, "already"),
        ("../x", 512, Refused, "no image"),
        ("new.img", 0, Refused, "at least a byte"),
        ("new.img", -1, Refused, "at least a byte"),
        ("new.img", 1 << 40, Refused, "maxImageSize"),
        ("new.img", 1 << 20, ImagesFailed, "no room"),
    ],
)
def test_what_cannot_come_in_is_refused_before_anything_is_sent(
    cluster: Cluster, name: str, size: int, kind: type[TashiError], words: str
) -> None:
    cluster.images.free = 1 << 19

    with pytest.raises(kind, match=words):
        cluster.calls().call("beginImport", ImportForm, name=name, size=size)
    cluster.settle()
    cluster.images.free = 1 << 30

    assert begin(cluster, bytes(512)).next == 0


def test_room_is_promised_once(cluster: Cluster) -> None:
    cluster.images.free = 3 * PIECE_BYTES
    to = begin(cluster, bytes(2 * PIECE_BYTES), "one.img")

    with pytest.raises(ImagesFailed, match=r"512\.0 KiB are free"):
        begin(cluster, bytes(2 * PIECE_BYTES), "two.img")
    cluster.calls().call("cancelImport", ImportForm, import_id=to.id)
    cluster.settle()

    assert begin(cluster, bytes(2 * PIECE_BYTES), "two.img").next == 0


def test_an_import_that_nobody_goes_on_with_is_forgotten(cluster: Cluster) -> None:
    to = begin(cluster, RAW)
    cluster.let_pass(400)
    send(cluster.calls(), to, RAW, 0)
    cluster.let_pass(400)
    send(cluster.calls(), to, RAW, 1)
    cluster.let_pass(700)

    with pytest.raises(NoSuchJob, match="idle for too long"):
        send(cluster.calls(), to, RAW, 2)
    assert begin(cluster, RAW, user=BOB).next == 0


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 0), (0, PIECE_BYTES + 1)])
def test_a_piece_that_cannot_be_read_is_refused(cluster: Cluster, offset: int, length: int) -> None:
    with pytest.raises(BadRequest):
        cluster.calls().call("readImage", PieceForm, name="web.qcow2", offset=offset, length=length)


def test_an_operator_deletes_what_was_put_there_by_hand(cluster: Cluster) -> None:
    begun = cluster.calls(ROOT, Role.ADMIN).call("deleteImage", JobForm, name="data.qcow2")
    cluster.settle()

    assert job(cluster, begun.id).state is JobState.DONE
    assert images(cluster).keys() == {"web.qcow2"}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("content", [RAW[:1024], qcow2(backing="data.qcow2")])
def test_a_finish_whose_commit_fails_can_be_asked_again(
    cluster: Cluster, content: bytes, fault: Fault
) -> None:
    to = begin(cluster, content)
    send(cluster.calls(), to, content, 0)
    finish_in_a_commit_that_fails(cluster, to, content, fault)

    assert finish(cluster, to, content).state is JobState.DONE
    assert cluster.images.kept["new.img"].content == content


@pytest.mark.parametrize("fault", Fault)
def test_a_finish_whose_commit_fails_holds_nothing(cluster: Cluster, fault: Fault) -> None:
    content = qcow2(backing="data.qcow2")
    to = begin(cluster, content)
    send(cluster.calls(), to, content, 0)
    finish_in_a_commit_that_fails(cluster, to, content, fault)

    db = cluster.create("db", disks=DATA)
    cluster.settle()
    cluster.calls().call("cancelImport", ImportForm, import_id=to.id)
    cluster.settle()

    assert cluster.record(db).disks[0].uri == "data.qcow2"
    assert begin(cluster, RAW, user=BOB).next == 0


def finish_in_a_commit_that_fails(
    cluster: Cluster, to: ImportForm, content: bytes, fault: Fault
) -> None:
    """Finish it in the same batch as a change of the books, and without success."""

    def in_the_same_batch() -> None:
        cluster.manager.ledger.ask(lambda draft: draft.next_operation())

    cluster.workers.run("other", in_the_same_batch)
    cluster.store.will(fault)
    cluster.store.cannot_settle(2)
    with pytest.raises((StoreFailed, OutcomeUnknown)):
        finish(cluster, to, content)
    cluster.settle()
    assert cluster.calls().call("getJobs", tuple[JobForm, ...]) == ()
