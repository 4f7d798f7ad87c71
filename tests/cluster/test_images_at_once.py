"""Who wants to use an image and who wants to change it at once: one of both is refused."""

import pytest

from cluster.cluster import Cluster
from cluster.image_calls import DATA, copy, do, midway, new_cluster, outcome
from tashi.domain.errors import (
    ImageInUse,
    ImagesFailed,
    NoSuchImage,
)
from tashi.domain.jobs import JobState
from tashi.wire.forms import DiskForm
from tashi.wire.images import JobForm


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return new_cluster()


def test_of_a_create_and_a_delete_at_once_one_is_refused(cluster: Cluster) -> None:
    copy(cluster)
    disks = (DiskForm("mine.qcow2"),)
    delete, came = cluster.images.delete, list[object]()

    def meanwhile(name: str) -> None:
        came.extend(outcome(lambda: cluster.create("late", disks=disks)))
        delete(name)

    cluster.images.delete = meanwhile  # type: ignore[method-assign]
    deleted = do(cluster, "deleteImage", name="mine.qcow2")

    assert isinstance(came[0], ImageInUse)
    assert deleted.state is JobState.DONE
    with pytest.raises(NoSuchImage):
        cluster.create("later", disks=disks)


def test_a_lookup_that_is_older_than_a_delete_does_not_count(cluster: Cluster) -> None:
    copy(cluster)
    has = cluster.images.has

    def meanwhile(name: str) -> bool:
        cluster.images.has = has  # type: ignore[method-assign]
        there = has(name)
        assert do(cluster, "deleteImage", name="mine.qcow2").state is JobState.DONE
        return there

    cluster.images.has = meanwhile  # type: ignore[method-assign]
    with pytest.raises(ImagesFailed, match="just been changed"):
        cluster.create("late", disks=(DiskForm("mine.qcow2"),))

    assert not cluster.manager.ledger.books.visible()


def test_of_a_persistent_disk_and_a_clone_at_once_one_is_refused(cluster: Cluster) -> None:
    came = midway(cluster, lambda: cluster.create("db", disks=DATA))
    cloned = do(cluster, "cloneImage", src="data.qcow2", dst="clone.qcow2")

    assert cloned.state is JobState.DONE
    assert isinstance(came[0], ImageInUse)


def test_an_image_that_is_being_copied_may_be_used_but_not_deleted(cluster: Cluster) -> None:
    copy(cluster)
    created = list[int]()

    def use_it() -> JobForm:
        created.append(cluster.create("web", disks=(DiskForm("mine.qcow2"),)))
        return do(cluster, "deleteImage", name="mine.qcow2")

    came = midway(cluster, use_it)

    assert copy(cluster, "mine.qcow2", "other.qcow2").state is JobState.DONE
    assert created == [1]
    assert isinstance(came[0], ImageInUse)
    assert "copying mine.qcow2" in came[0].message


def test_of_two_that_make_the_same_image_one_is_refused(cluster: Cluster) -> None:
    came = midway(cluster, lambda: copy(cluster, "data.qcow2"))

    assert copy(cluster).state is JobState.DONE
    assert isinstance(came[0], ImageInUse)
