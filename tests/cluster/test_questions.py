"""What is asked about instances and events costs no more than what is answered."""

from typing import Any

import pytest

from cluster.cluster import ALICE, Cluster
from cluster.image_calls import BOB
from fakes.users import FakeDirectory
from tashi.clustermanager.service import questions
from tashi.domain.errors import NoSuchInstance
from tashi.domain.identity import InstanceId, UserId
from tashi.domain.permissions import Role
from tashi.ports.workers import Job
from tashi.wire.answers import WhyForm
from tashi.wire.forms import (
    DiskForm,
    EventsForm,
    InstanceForm,
    NewInstanceForm,
    SnapshotForm,
    UserForm,
)


def found(cluster: Cluster, who: UserId = ALICE, **asked: Any) -> list[int]:
    """The ids of the instances that are the answer."""
    answer = cluster.calls(who).call("getInstances", tuple[InstanceForm, ...], **asked)
    return [one.id for one in answer]


def test_instances_are_found_by_their_name_until_they_are_over() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web, db = cluster.create("web"), cluster.create("db")
    cluster.settle()

    by_name = found(cluster, name="db")
    cluster.command("destroyVm", db)
    cluster.settle()

    assert by_name == [db]
    assert found(cluster, name="db") == []
    assert found(cluster, name="") == []
    assert found(cluster) == [web]


def test_an_id_and_a_name_find_the_instance_that_has_both() -> None:
    cluster = Cluster()
    web = cluster.create("web")

    assert found(cluster, instance_id=web, name="web") == [web]
    assert found(cluster, instance_id=web, name="db") == []
    with pytest.raises(NoSuchInstance):
        found(cluster, instance_id=web + 1, name="web")


def test_ones_own_instances_are_those_of_whoever_asks_until_they_are_over() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web, db = cluster.create("web"), cluster.create("db")
    wish = NewInstanceForm(name="mail", disks=(DiskForm("web.qcow2"),))
    mail = cluster.calls(BOB).call("createVm", InstanceForm, instance=wish).id
    cluster.settle()

    cluster.command("destroyVm", db)
    cluster.settle()

    assert (found(cluster, mine=True), found(cluster, BOB, mine=True)) == ([web], [mail])
    assert found(cluster, mine=True, name="mail") == []


def test_who_asks_from_no_number_learns_which_event_is_next() -> None:
    cluster = Cluster()
    cluster.create("web")

    following = cluster.calls().call("watch", EventsForm)
    cluster.create("db")
    events = cluster.calls().call("watch", EventsForm, since=following.next, timeout=0.0).events

    assert following.events == ()
    assert [one.instance.name for one in events if one.instance is not None] == ["db"]


def test_a_user_is_found_by_number_in_the_directory_and_in_tashis_own_list() -> None:
    cluster = Cluster(directory=FakeDirectory("alice"))  # 500
    root = cluster.calls(role=Role.ADMIN)
    made = root.call("addUser", UserForm, user_id=4000, name="eve")

    found = [root.call("getUsers", tuple[UserForm, ...], user_id=one) for one in (500, 4000, 9)]

    assert [[one.name for one in users] for users in found] == [["alice"], ["eve"], []]
    assert found[1] == (made,)


def test_a_user_is_found_by_name_in_the_directory_and_in_tashis_own_list() -> None:
    cluster = Cluster(directory=FakeDirectory("alice", "bob"))  # 500, 501
    root = cluster.calls(role=Role.ADMIN)
    root.call("addUser", UserForm, user_id=4000, name="eve")

    def known(**asked: Any) -> list[int]:
        return [one.id for one in root.call("getUsers", tuple[UserForm, ...], **asked)]

    assert [known(name=one) for one in ("bob", "eve", "mallory", "")] == [[501], [4000], [], []]
    assert (known(user_id=501, name="bob"), known(user_id=501, name="eve")) == ([501], [])


def test_why_says_that_no_scheduler_is_heard_where_a_host_has_room() -> None:
    cluster = Cluster()
    cluster.scheduling = False
    cluster.add_node("h1", cores=1)
    cluster.settle()

    def why(name: str) -> str:
        made = cluster.create(name)
        return cluster.calls().call("why", WhyForm, instance_id=made).words.partition("host. ")[2]

    never = why("web")
    cluster.scheduling = True
    cluster.command("destroyVm", InstanceId(found(cluster)[0]))
    cluster.settle()
    lately = why("db")
    cluster.scheduling = False
    cluster.let_pass(71)
    silent = why("mail")
    cluster.scheduling = True
    cluster.settle()
    full = why("cache")

    words = "A host would take it, but no scheduler was heard {}: see that one runs."
    assert never == words.format("since the cluster manager began")
    assert lately == ""
    assert silent == words.format("for 71 s")
    assert full.startswith("No host takes it now: h1 has 0 of 1 cores free;")


def test_long_lists_are_made_one_at_a_time_and_not_by_who_serves_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster()
    web, db = cluster.create("web"), cluster.create("db")
    lanes: list[str] = []
    run = cluster.workers.run

    def noted(lane: str, job: Job) -> None:
        lanes.append(lane)
        run(lane, job)

    monkeypatch.setattr(cluster.workers, "run", noted)
    few = found(cluster)
    monkeypatch.setattr(questions, "_FEW_INSTANCES", 1)

    assert few == found(cluster) == found(cluster, mine=True) == [web, db]
    assert len(cluster.calls().call("getSnapshot", SnapshotForm).instances) == 2
    assert found(cluster, instance_id=web) == found(cluster, name="web") == [web]
    assert lanes == ["long lists"] * 3
