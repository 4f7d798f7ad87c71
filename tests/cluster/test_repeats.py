"""Repeats of requests, in a whole cluster: who repeats one gets its first answer, nobody else."""

from typing import Any

import pytest

from cluster.cluster import Cluster
from tashi.domain.errors import NotPermitted
from tashi.domain.identity import InstanceId, UserId
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm
from tashi.wire.screens import VncForm

MALLORY = UserId(1666)
WANTED = NewInstanceForm("mine", (DiskForm("web.qcow2"),))
PUSHES: list[tuple[str, Any, dict[str, str]]] = [
    ("startVnc", VncForm, {}),
    ("stopVnc", InstanceForm, {}),
    ("resetVm", InstanceForm, {}),
    ("vmmSpecificCall", str, {"arg": "startVnc"}),
]


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_node("h1")
    return cluster


@pytest.mark.parametrize(("call", "gives", "more"), PUSHES, ids=[call for call, _, _ in PUSHES])
@pytest.mark.parametrize("first", ["renameVm", "the same"])
def test_the_id_of_a_request_of_ones_own_opens_nobody_elses_guest(
    cluster: Cluster, call: str, gives: Any, more: dict[str, str], first: str
) -> None:
    web, calls = cluster.create("web"), cluster.calls(MALLORY)
    mine = calls.call("createVm", InstanceForm, instance=WANTED).id
    cluster.settle()

    if first == "renameVm":
        calls.call("renameVm", InstanceForm, instance_id=mine, name="yours", request_id="once")
    else:
        calls.call(call, gives, instance_id=mine, request_id="once", **more)
    with pytest.raises(NotPermitted):
        calls.call(call, gives, instance_id=web, request_id="once", **more)


def test_who_gives_a_request_the_id_of_somebody_elses_is_not_told_the_answer_of_that(
    cluster: Cluster,
) -> None:
    web, mallory = cluster.create("web"), cluster.calls(MALLORY)

    renamed = cluster.calls().call(
        "renameVm", InstanceForm, instance_id=web, name="secret", request_id="once"
    )
    with pytest.raises(NotPermitted):
        mallory.call("renameVm", InstanceForm, instance_id=web, name="secret", request_id="once")

    assert renamed.name == "secret"


def test_a_repeat_gets_the_first_answer_also_from_the_next_cluster_manager(
    cluster: Cluster,
) -> None:
    def create() -> InstanceId:
        made = cluster.calls().call("createVm", InstanceForm, instance=WANTED, request_id="once")
        return InstanceId(made.id)

    first, second = create(), create()
    cluster.kill_manager()
    cluster.start_manager()

    assert {first, second, create()} == {first}


def test_an_id_that_is_used_for_something_else_is_another_request(cluster: Cluster) -> None:
    web, calls = cluster.create("web"), cluster.calls()

    calls.call("renameVm", InstanceForm, instance_id=web, name="shop", request_id="once")
    calls.call("renameVm", InstanceForm, instance_id=web, name="store", request_id="once")

    assert cluster.record(web).name == "store"
