"""What the tests of images in a whole cluster do again and again."""

import hashlib
from collections.abc import Callable
from typing import Any

from cluster.cluster import ALICE, Cluster
from tashi.domain.errors import (
    TashiError,
)
from tashi.domain.identity import UserId
from tashi.wire.calls import Calls
from tashi.wire.forms import DiskForm
from tashi.wire.images import ImageForm, ImportForm, JobForm

BOB = UserId(1001)
DATA = (DiskForm("data.qcow2", persistent=True),)


def new_cluster() -> Cluster:
    """A cluster of one host."""
    made = Cluster()
    made.add_node("h1")
    made.settle()
    return made


def do(cluster: Cluster, call: str, user: UserId = ALICE, **arguments: Any) -> JobForm:
    """Have a job done, and say how it ended."""
    begun = cluster.calls(user).call(call, JobForm, **arguments)
    cluster.settle()
    return job(cluster, begun.id)


def job(cluster: Cluster, key: int) -> JobForm:
    """That job, as it is."""
    return cluster.calls().call("getJob", JobForm, job_id=key)


def images(cluster: Cluster) -> dict[str, ImageForm]:
    """Every image, by name."""
    return {one.name: one for one in cluster.calls().call("getImages", tuple[ImageForm, ...])}


def copy(cluster: Cluster, src: str = "web.qcow2", dst: str = "mine.qcow2") -> JobForm:
    """Copy an image, and say how that ended."""
    return do(cluster, "copyImage", src=src, dst=dst)


def midway(cluster: Cluster, act: Callable[[], object]) -> list[object]:
    """Do something in the middle of the next making; what came of it."""
    came: list[object] = []

    def once() -> None:
        cluster.images.midway = lambda: None
        came.extend(outcome(act))

    cluster.images.midway = once
    return came


def begin(
    cluster: Cluster, content: bytes, name: str = "new.img", user: UserId = ALICE
) -> ImportForm:
    """Begin an import."""
    return cluster.calls(user).call("beginImport", ImportForm, name=name, size=len(content))


def send(calls: Calls, to: ImportForm, content: bytes, number: int) -> ImportForm:
    """Send one piece."""
    piece = content[number * to.piece_bytes : (number + 1) * to.piece_bytes]
    return calls.call("sendPiece", ImportForm, import_id=to.id, number=number, content=piece)


def finish(cluster: Cluster, to: ImportForm, content: bytes) -> JobForm:
    """Say that all was sent, and how that ended."""
    digest = hashlib.sha256(content).hexdigest()
    return do(cluster, "finishImport", import_id=to.id, sha256=digest)


def outcome(act: Callable[[], object]) -> list[object]:
    """What it gives, or the error that it ends with."""
    try:
        return [act()]
    except TashiError as error:
        return [error]
