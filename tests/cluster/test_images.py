"""Images in a whole cluster: made by jobs, refused while in use, and sent piece by piece."""

from collections.abc import Sequence
from typing import Any

import pytest

from cluster.cluster import ALICE, Cluster
from cluster.image_calls import BOB, DATA, begin, copy, do, images, job, midway, new_cluster, send
from fakes.faulty_store import Fault
from tashi.domain.errors import (
    ImageInUse,
    ImagesFailed,
    NoSuchImage,
    NoSuchJob,
    NotPermitted,
    Refused,
    StoreFailed,
    TashiError,
)
from tashi.domain.identity import UserId
from tashi.domain.jobs import JobState
from tashi.domain.permissions import ROOT
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm
from tashi.wire.images import JobForm, PieceForm


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return new_cluster()


def test_a_copy_is_a_job_whose_end_is_told(cluster: Cluster) -> None:
    done = copy(cluster)

    assert (done.state, done.words, done.user_id) == (
        JobState.DONE,
        "copying web.qcow2 to mine.qcow2",
        ALICE,
    )
    assert done.done == done.total > 0
    assert images(cluster)["mine.qcow2"].user_id == ALICE
    assert cluster.calls().call("getJobs", tuple[JobForm, ...]) == (done,)


def test_clones_and_what_was_rebased_are_listed_with_what_they_are_based_on(
    cluster: Cluster,
) -> None:
    do(cluster, "cloneImage", src="web.qcow2", dst="teams/clone.qcow2")
    do(cluster, "rebaseImage", src="teams/clone.qcow2", dst="whole.qcow2")
    do(cluster, "rebaseImage", src="teams/clone.qcow2", dst="b.qcow2", backing="data.qcow2")

    found = images(cluster)
    assert found["teams/clone.qcow2"].backing == "web.qcow2"
    assert found["web.qcow2"].backs == ("teams/clone.qcow2",)
    assert found["whole.qcow2"].backing is None
    assert found["b.qcow2"].backing == "data.qcow2"


def test_a_repeated_request_gets_the_same_job_also_when_it_is_done(cluster: Cluster) -> None:
    wanted = {"src": "web.qcow2", "dst": "mine.qcow2", "request_id": "once"}

    first = cluster.calls().call("copyImage", JobForm, **wanted)
    cluster.settle()
    second = cluster.calls().call("copyImage", JobForm, **wanted)

    assert (second.id, second.state) == (first.id, JobState.DONE)


def test_whoever_waits_for_a_job_hears_of_its_next_change(cluster: Cluster) -> None:
    begun = cluster.calls().call("copyImage", JobForm, src="web.qcow2", dst="mine.qcow2")

    seen = [begun]
    while seen[-1].state not in {JobState.DONE, JobState.FAILED}:
        seen.append(
            cluster.calls().call(
                "getJob", JobForm, job_id=begun.id, seen=seen[-1].change, timeout=30.0
            )
        )

    assert [one.change for one in seen] == sorted({one.change for one in seen})
    assert seen[-1].state is JobState.DONE


def test_a_cancelled_job_leaves_nothing(cluster: Cluster) -> None:
    begun: list[int] = []

    def cancel() -> JobForm:
        begun.extend(one.id for one in cluster.calls().call("getJobs", tuple[JobForm, ...]))
        return cluster.calls().call("cancelJob", JobForm, job_id=begun[0])

    midway(cluster, cancel)
    done = copy(cluster)

    assert (done.id, done.state) == (begun[0], JobState.CANCELLED)
    assert "mine.qcow2" not in images(cluster)
    assert copy(cluster).state is JobState.DONE


def test_only_its_owner_and_administrators_cancel_a_job(cluster: Cluster) -> None:
    def cancel() -> JobForm:
        (one,) = cluster.calls().call("getJobs", tuple[JobForm, ...])
        return cluster.calls(BOB).call("cancelJob", JobForm, job_id=one.id)

    came = midway(cluster, cancel)
    done = copy(cluster)

    assert isinstance(came[0], NotPermitted)
    assert done.state is JobState.DONE


def test_no_more_jobs_run_at_once_than_is_good_and_all_are_done(cluster: Cluster) -> None:
    begun = [
        cluster.calls().call("copyImage", JobForm, src="web.qcow2", dst=f"{number}.qcow2").id
        for number in range(10)
    ]
    cluster.settle()

    assert {job(cluster, key).state for key in begun} == {JobState.DONE}
    assert len(images(cluster)) == 12


def test_a_job_that_fails_says_why_and_lets_go_of_its_images(cluster: Cluster) -> None:
    def away() -> None:
        cluster.images.free = 0
        raise ImagesFailed("There is no room left.")

    cluster.images.midway = away
    failed = copy(cluster)
    cluster.images.midway, cluster.images.free = lambda: None, 1 << 40
    again = copy(cluster)

    assert (failed.state, failed.kind, failed.errno) == (JobState.FAILED, "ImagesFailed", 206)
    assert failed.error == "There is no room left."
    assert again.state is JobState.DONE


def test_a_mistake_of_ours_ends_a_job_too(cluster: Cluster) -> None:
    def stumble() -> None:
        raise ValueError("bug")

    cluster.images.midway = stumble
    with pytest.raises(ValueError, match="bug"):
        copy(cluster)
    cluster.settle()

    (ended,) = cluster.calls().call("getJobs", tuple[JobForm, ...])
    assert (ended.state, ended.kind) == (JobState.FAILED, "Broken")


def test_jobs_of_an_earlier_reign_are_gone_and_so_are_their_claims(cluster: Cluster) -> None:
    ended = copy(cluster)
    to = begin(cluster, bytes(512))

    cluster.kill_manager()
    cluster.start_manager()
    cluster.settle()

    with pytest.raises(NoSuchJob, match="started anew"):
        job(cluster, ended.id)
    with pytest.raises(NoSuchJob, match="started anew"):
        send(cluster.calls(), to, bytes(512), 0)
    assert copy(cluster, dst="new.img").id != ended.id


def test_a_job_ends_also_while_the_books_cannot_be_written(cluster: Cluster) -> None:
    begun: list[JobForm] = []
    cluster.store.will(Fault.UNKNOWN_LOST)
    cluster.store.cannot_settle(1)

    def trouble() -> None:
        with pytest.raises(TashiError):
            cluster.create("web")

    midway(cluster, trouble)
    begun.append(cluster.calls().call("copyImage", JobForm, src="web.qcow2", dst="mine.qcow2"))
    cluster.settle()
    cluster.let_pass(5)

    assert job(cluster, begun[0].id).state is JobState.DONE
    assert do(cluster, "deleteImage", name="mine.qcow2").state is JobState.DONE


def test_a_claim_whose_commit_fails_is_free_again(cluster: Cluster) -> None:
    same_as = cluster.images.same_as

    def in_the_same_batch(name: str) -> Sequence[str]:
        cluster.manager.ledger.ask(lambda draft: draft.next_operation())
        return same_as(name)

    cluster.images.same_as = in_the_same_batch  # type: ignore[method-assign]
    cluster.store.will(Fault.FAILS)
    with pytest.raises(StoreFailed):
        copy(cluster)
    cluster.images.same_as = same_as  # type: ignore[method-assign]
    cluster.settle()

    assert cluster.calls().call("getJobs", tuple[JobForm, ...]) == ()
    assert copy(cluster).state is JobState.DONE


# ---- refused ---


@pytest.mark.parametrize(
    ("call", "arguments", "kind"),
    [
        ("copyImage", {"src": "gone", "dst": "new"}, NoSuchImage),
        ("copyImage", {"src": "web.qcow2", "dst": "data.qcow2"}, Refused),
        ("copyImage", {"src": "../secret", "dst": "new"}, Refused),
        ("copyImage", {"src": "web.qcow2", "dst": "../new"}, Refused),
        ("copyImage", {"src": "web.qcow2", "dst": "a\0b"}, Refused),
        ("copyImage", {"src": "web.qcow2", "dst": "a\nb"}, Refused),
        ("cloneImage", {"src": "web.qcow2", "dst": ".hidden"}, Refused),
        ("cloneImage", {"src": "web.qcow2", "dst": "a,b"}, Refused),
        ("rebaseImage", {"src": "web.qcow2", "dst": "b", "backing": "gone"}, NoSuchImage),
        ("rebaseImage", {"src": "web.qcow2", "dst": "b", "backing": "nbd:x"}, Refused),
        ("rebaseImage", {"src": "web.qcow2", "dst": "", "backing": "data.qcow2"}, Refused),
        ("deleteImage", {"name": "gone"}, NoSuchImage),
        ("deleteImage", {"name": "/etc/passwd/.."}, Refused),
        ("deleteImage", {"name": "web.qcow2"}, NotPermitted),
        ("copyImage", {"src": "data.qcow2", "dst": "web.qcow2", "replace": True}, NotPermitted),
        ("cancelJob", {"job_id": 7}, NoSuchJob),
    ],
)
def test_what_cannot_be_is_refused_at_once_and_nothing_changes(
    cluster: Cluster, call: str, arguments: dict[str, Any], kind: type[TashiError]
) -> None:
    before = images(cluster)

    with pytest.raises(kind):
        cluster.calls().call(call, JobForm, **arguments)
    cluster.settle()

    assert images(cluster) == before
    assert cluster.calls().call("getJobs", tuple[JobForm, ...]) == ()


def test_an_image_is_changed_by_its_owner_and_administrators_only(cluster: Cluster) -> None:
    copy(cluster)

    with pytest.raises(NotPermitted, match="belongs to user 1000"):
        do(cluster, "deleteImage", BOB, name="mine.qcow2")
    with pytest.raises(NotPermitted):
        do(cluster, "copyImage", BOB, src="data.qcow2", dst="mine.qcow2", replace=True)
    replaced = do(cluster, "copyImage", ROOT, src="data.qcow2", dst="mine.qcow2", replace=True)
    owner = images(cluster)["mine.qcow2"].user_id
    deleted = do(cluster, "deleteImage", name="mine.qcow2")

    assert (replaced.state, owner, deleted.state) == (JobState.DONE, ALICE, JobState.DONE)
    assert "mine.qcow2" not in images(cluster)


def test_no_image_is_put_in_the_place_of_what_it_is_based_on(cluster: Cluster) -> None:
    copy(cluster)
    over_it: dict[str, Any] = {"dst": "mine.qcow2", "replace": True}

    with pytest.raises(Refused, match="based on itself"):
        do(cluster, "cloneImage", src="mine.qcow2", **over_it)
    with pytest.raises(Refused, match="based on itself"):
        do(cluster, "rebaseImage", src="web.qcow2", backing="mine.qcow2", **over_it)
    flat = do(cluster, "rebaseImage", src="mine.qcow2", **over_it)

    assert flat.state is JobState.DONE


def test_only_its_owner_has_an_image_as_a_persistent_disk(cluster: Cluster) -> None:
    copy(cluster)
    disks = (DiskForm("mine.qcow2", persistent=True),)
    form = {"name": "his", "disks": disks}

    with pytest.raises(NotPermitted):
        create_as(cluster, BOB, **form)
    create_as(cluster, BOB, name="reads", disks=(DiskForm("mine.qcow2"),))
    create_as(cluster, ALICE, **form)


def create_as(cluster: Cluster, user: UserId, **wanted: object) -> InstanceForm:
    return cluster.calls(user).call(
        "createVm",
        InstanceForm,
        instance=NewInstanceForm(**wanted),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("state", [S.RUNNING, S.STOPPED, S.PENDING])
def test_an_image_of_an_instance_is_neither_deleted_nor_replaced(
    cluster: Cluster, state: S
) -> None:
    copy(cluster)
    cluster.scheduling = state is not S.PENDING
    web = cluster.create("web", disks=(DiskForm("mine.qcow2"),))
    cluster.settle()
    if state is S.STOPPED:
        cluster.command("stopVm", web)
        cluster.settle()

    assert cluster.state(web) is state
    for call, arguments in (
        ("deleteImage", {"name": "mine.qcow2"}),
        ("copyImage", {"src": "data.qcow2", "dst": "mine.qcow2", "replace": True}),
        ("rebaseImage", {"src": "mine.qcow2", "dst": "mine.qcow2", "replace": True}),
    ):
        with pytest.raises(ImageInUse, match=r"disk of instance 1 \(web\)"):
            do(cluster, call, **arguments)
    cluster.command("destroyVm", web)
    cluster.settle()

    assert do(cluster, "deleteImage", name="mine.qcow2").state is JobState.DONE


def test_a_persistent_disk_of_a_running_instance_is_not_read_from(cluster: Cluster) -> None:
    cluster.create("db", disks=DATA)
    cluster.settle()

    for call in ("copyImage", "cloneImage", "rebaseImage"):
        with pytest.raises(ImageInUse, match=r"instance 1 \(db\)"):
            do(cluster, call, src="data.qcow2", dst="new.qcow2")
    with pytest.raises(ImageInUse):
        do(cluster, "rebaseImage", src="web.qcow2", dst="new.qcow2", backing="data.qcow2")
    with pytest.raises(ImageInUse):
        cluster.calls().call("readImage", PieceForm, name="data.qcow2", offset=0, length=512)


def test_nothing_is_based_on_what_an_instance_will_write_to(cluster: Cluster) -> None:
    cluster.scheduling = False
    cluster.create("db", disks=DATA)
    cluster.settle()

    with pytest.raises(ImageInUse, match="spoil"):
        do(cluster, "cloneImage", src="data.qcow2", dst="new.qcow2")

    assert copy(cluster, "data.qcow2").state is JobState.DONE


def test_what_others_are_based_on_is_neither_deleted_nor_replaced_nor_written_to(
    cluster: Cluster,
) -> None:
    copy(cluster)
    do(cluster, "cloneImage", src="mine.qcow2", dst="clone.qcow2")

    with pytest.raises(ImageInUse, match=r"clone\.qcow2 is based on it"):
        do(cluster, "deleteImage", name="mine.qcow2")
    with pytest.raises(ImageInUse):
        do(cluster, "copyImage", src="data.qcow2", dst="mine.qcow2", replace=True)
    with pytest.raises(ImageInUse):
        cluster.create("db", disks=(DiskForm("mine.qcow2", persistent=True),))
    do(cluster, "deleteImage", name="clone.qcow2")

    assert do(cluster, "deleteImage", name="mine.qcow2").state is JobState.DONE
