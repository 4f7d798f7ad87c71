"""Every verb in every state: what does not fit is refused with what does, and changes nothing.

The states are those of the table; an instance is put into each of them in the books of a cluster
whose nodes are cut off, so that nothing moves it on while it is asked for the impossible.
"""

from dataclasses import replace
from typing import Any

import pytest

from cluster.cluster import ALICE, Cluster
from examples import waiting
from tashi.domain import alterations as a
from tashi.domain import events as e
from tashi.domain import typed
from tashi.domain.errors import IncorrectState, NoSuchInstance, Refused, TashiError
from tashi.domain.identity import Attempt, HostId, InstanceId, Operation
from tashi.domain.instance import Disk, Instance
from tashi.domain.permissions import Who
from tashi.domain.states import InstanceState, facts
from tashi.domain.transitions import ON_HOST, commands_in
from tashi.wire.forms import DiskForm, InstanceForm, NicForm
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.screens import VncForm

KEY = InstanceId(1)
VERBS: dict[str, tuple[type[e.Command], dict[str, Any]]] = {
    "destroyVm": (e.Destroy, {}),
    "shutdownVm": (e.ShutDown, {}),
    "stopVm": (e.Stop, {}),
    "startVm": (e.Start, {}),
    "pauseVm": (e.Pause, {}),
    "unpauseVm": (e.Unpause, {}),
    "suspendVm": (e.Suspend, {}),
    "resumeVm": (e.Resume, {}),
    "migrateVm": (e.Migrate, {"host_id": 3}),
    "cancelMigration": (e.CancelMigrate, {}),
    "resetVm": (e.Reset, {}),
    "renameVm": (a.Rename, {"name": "shop"}),
    "resizeVm": (a.Resize, {"cores": 2}),
    "attachDisk": (a.AttachDisk, {"disk": DiskForm("data.qcow2")}),
    "detachDisk": (a.DetachDisk, {"uri": "data.qcow2"}),
    "attachNic": (a.AttachNic, {"nic": NicForm(1)}),
    "detachNic": (a.DetachNic, {"mac": "52:54:00:00:00:01"}),
    "changeCdrom": (a.ChangeCdrom, {"image": "data.qcow2"}),
    "startVnc": (a.StartVnc, {}),
    "stopVnc": (a.StopVnc, {}),
}
NOT_A_COMMAND = {
    "createVm", "vmmSpecificCall", "typeConsole", "readConsole", "getConsole",
}  # fmt: skip
"""Calls of owners that are no commands to one instance, or lead to one of the above."""

OLD_WORDS = {
    "reset": "resetVm",
    "startVnc": "startVnc",
    "stopVnc": "stopVnc",
    "changeCdrom:data.qcow2": "changeCdrom",
}
CASES = [(verb, state) for verb in VERBS for state in InstanceState]


def an_instance(state: InstanceState) -> Instance:
    """An instance in that state, on as many hosts as it must be at least."""
    hosts = min(facts(state).hosts)
    return replace(
        waiting(KEY),
        name="web",
        user_id=ALICE,
        disks=(Disk("web.qcow2"),),
        state=state,
        host_id=HostId(1) if hosts else None,
        target_id=HostId(2) if hosts == 2 else None,
        attempt=Attempt(1),
        operation=Operation(1),
        was=InstanceState.RUNNING if state is InstanceState.ORPHANED else None,
        saved="1-1" if state is InstanceState.SUSPENDED else None,
        leftovers=(HostId(1),) if state is InstanceState.EXITED else (),
    )


def a_cluster_with(instance: Instance) -> Cluster:
    """A cluster with two hosts that hear nothing any more, and that instance."""
    cluster = Cluster()
    cluster.scheduling = False
    for name in ("h1", "h2", "h3"):
        cluster.add_node(name)
    cluster.settle()
    for node in cluster.nodes.values():
        node.wire.cut = node.uplink.cut = True
    put = cluster.manager.ledger.ask(lambda draft: draft.put(instance))
    taken = cluster.manager.ledger.ask(lambda draft: draft.next_instance())
    cluster.manager.turn(0.0)
    put.result(0)
    taken.result(0)
    return cluster


def ask(cluster: Cluster, call: str, **arguments: Any) -> Any:
    gives: type = VncForm if call == "startVnc" else InstanceForm
    return cluster.calls().call(call, gives, instance_id=KEY, **arguments)


def test_every_call_that_commands_an_instance_is_tried() -> None:
    takes_an_instance = {
        name
        for name, row in CLUSTER_MANAGER.items()
        if "instance_id" in row.takes.__struct_fields__ and row.who in {Who.OWNER, Who.KEEPER}
    }

    assert takes_an_instance - NOT_A_COMMAND == set(VERBS)


@pytest.mark.parametrize(("verb", "state"), CASES, ids=lambda one: getattr(one, "title", one))
def test_what_does_not_fit_is_refused_with_what_does_and_changes_nothing(
    verb: str, state: InstanceState
) -> None:
    kind, arguments = VERBS[verb]
    if kind in commands_in(state):
        check_taken_or_refused_for_another_reason(verb, state, arguments)
        return
    cluster = a_cluster_with(an_instance(state))
    before, counters = cluster.manager.ledger.published, cluster.manager.ledger.counters

    with pytest.raises(Refused) as refused:
        ask(cluster, verb, **arguments)

    assert cluster.manager.ledger.published == before
    assert cluster.manager.ledger.counters == counters
    if state is InstanceState.EXITED:
        assert isinstance(refused.value, NoSuchInstance)
        return
    assert isinstance(refused.value, IncorrectState)
    words = refused.value.message
    assert f"is {state.title}, " in words
    possible = [
        typed.command(one) for one in commands_in(state) if one not in {e.Place, e.PlaceSaved}
    ]
    fitting = [one.title for one in InstanceState if kind in commands_in(one)]
    said = possible if "where you can" in words else fitting
    assert all(one in words for one in said)
    assert said or "only wait" in words
    assert words.startswith(f"{verb} does not fit: ")


def check_taken_or_refused_for_another_reason(
    verb: str, state: InstanceState, arguments: dict[str, Any]
) -> None:
    """A command that fits changes the books, or is refused, and then changes nothing."""
    cluster = a_cluster_with(an_instance(state))
    before = cluster.manager.ledger.published

    try:
        ask(cluster, verb, **arguments)
    except IncorrectState:
        pytest.fail(f"{verb} is in the table for {state.title}, and yet refused.")
    except Refused:
        assert cluster.manager.ledger.published == before
    except TashiError:  # the guest's node is not there, which is no matter of its state
        assert verb in {"resetVm", "startVnc", "stopVnc"}
    else:
        assert cluster.manager.ledger.counters.operation > 1


@pytest.mark.parametrize("word", OLD_WORDS)
@pytest.mark.parametrize("state", sorted(set(InstanceState) - ON_HOST), ids=lambda one: one.title)
def test_tashis_old_words_are_refused_like_the_calls_they_lead_to(
    word: str, state: InstanceState
) -> None:
    kind, _ = VERBS[OLD_WORDS[word]]
    cluster = a_cluster_with(an_instance(state))
    before = cluster.manager.ledger.published

    if kind in commands_in(state):
        cluster.calls().call("vmmSpecificCall", str, instance_id=KEY, arg=word)
        return
    with pytest.raises(Refused):
        cluster.calls().call("vmmSpecificCall", str, instance_id=KEY, arg=word)

    assert cluster.manager.ledger.published == before


@pytest.mark.parametrize("state", sorted(set(InstanceState)), ids=lambda one: one.title)
def test_nobody_types_where_there_is_no_guest(state: InstanceState) -> None:
    cluster = a_cluster_with(an_instance(state))
    before = cluster.manager.ledger.published

    with pytest.raises(TashiError):
        cluster.calls().call("typeConsole", bool, instance_id=KEY, data=b"x")

    assert cluster.manager.ledger.published == before
