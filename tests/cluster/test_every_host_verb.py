"""Every verb for hosts in every situation of one: taken, or refused with what is possible.

What is refused changes nothing. A host has an instance unless it is said to be empty, and there is
no other host that would take that.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cluster.cluster import ALICE, Cluster
from cluster.draining import act, admin, key_of
from tashi.domain.errors import HostStateError
from tashi.domain.identity import InstanceId
from tashi.domain.permissions import Who
from tashi.domain.states import HostState
from tashi.wire.answers import ReservationForm
from tashi.wire.forms import HostForm, UserForm
from tashi.wire.methods import CLUSTER_MANAGER

VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    "drain": ("drainHost", {}),
    "cancelDrain": ("cancelDrain", {}),
    "undrain": ("undrainHost", {}),
    "open": ("setHostState", {"state": HostState.NORMAL}),
    "close": ("setHostState", {"state": HostState.DRAINED}),
    "mismatch": ("setHostState", {"state": HostState.VERSION_MISMATCH}),
    "declareHostDead": ("declareHostDead", {}),
    "delHost": ("delHost", {}),
    "setHostNotes": ("setHostNotes", {"notes": "the upper one"}),
    "addReservation": ("addReservation", {"user_id": ALICE}),
    "delReservation": ("delReservation", {"user_id": ALICE}),
}
QUESTIONS = {"getDrainPlan"}


def _drained(cluster: Cluster) -> None:
    admin(cluster).call(
        "setHostState", HostForm, host_id=key_of(cluster, "h1"), state=HostState.DRAINED
    )


def _of_another_version(cluster: Cluster) -> None:
    node = cluster.nodes["h1"]
    node.kill()
    node.machine = replace(node.machine, version="0.0.9")
    node.start()


def _silent(cluster: Cluster) -> None:
    cluster.nodes["h1"].kill()
    cluster.let_pass(32)


def _empty(cluster: Cluster) -> None:
    cluster.command("destroyVm", InstanceId(1))


def _empty_and_drained(cluster: Cluster) -> None:
    _empty(cluster)
    cluster.settle()
    act(cluster, "drainHost")


def _empty_and_silent(cluster: Cluster) -> None:
    _empty(cluster)
    cluster.settle()
    _silent(cluster)


SITUATIONS: dict[str, Callable[[Cluster], object]] = {
    "Normal": lambda _: None,
    "draining": lambda cluster: act(cluster, "drainHost"),
    "Drained": _drained,
    "VersionMismatch": _of_another_version,
    "silent": _silent,
    "empty": _empty,
    "empty, Drained": _empty_and_drained,
    "empty, silent": _empty_and_silent,
}
OPEN = ["Normal", "VersionMismatch", "silent", "empty", "empty, silent"]
CLOSED = ["Drained", "empty, Drained"]
UP = ["Normal", "draining", "Drained", "VersionMismatch", "empty", "empty, Drained"]
UPGRADE = "upgrade the older one, or set allowMismatchedVersions"

REFUSED: dict[tuple[str, str], str] = {
    **{("cancelDrain", one): "it is .*, and drain empties it" for one in OPEN},
    **{("cancelDrain", one): "it is Drained, and undrain opens it" for one in CLOSED},
    **{("undrain", one): "it is Normal, and drain empties it" for one in OPEN},
    ("undrain", "VersionMismatch"): f"it is VersionMismatch, and .*{UPGRADE}",
    ("open", "VersionMismatch"): UPGRADE,
    **{("mismatch", one): "set Normal or Drained" for one in SITUATIONS},
    **{("declareHostDead", one): "drain empties one that is up" for one in UP},
    **{("delHost", one): "drain it, or end them first" for one in UP if "empty" not in one},
    ("delHost", "silent"): "wait for it, or declareHostDead it first",
    **{("delReservation", one): "getReservation lists" for one in SITUATIONS},
}
"""What the words name that is possible, of those that are refused."""

AS_IT_IS = {
    *(("open", one) for one in OPEN), ("drain", "draining"), ("drain", "empty, Drained"),
    *(("close", one) for one in CLOSED),
}  # fmt: skip
"""What was so already: it is taken, and nothing of it is news."""


def a_cluster(situation: str) -> Cluster:
    """A cluster whose only host is in that situation."""
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    admin(cluster).call("addUser", UserForm, user_id=ALICE, name="alice")
    cluster.create("web")
    cluster.settle()
    SITUATIONS[situation](cluster)
    cluster.settle()
    return cluster


def ask(cluster: Cluster, verb: str) -> Any:
    call, arguments = VERBS[verb]
    gives: type = ReservationForm if "Reservation" in call else HostForm
    return admin(cluster).call(call, gives, host_id=key_of(cluster, "h1"), **arguments)


def test_every_call_about_a_host_is_tried() -> None:
    about_a_host = {
        name
        for name, row in CLUSTER_MANAGER.items()
        if "host_id" in row.takes.__struct_fields__ and row.who in {Who.ADMIN, Who.OPERATOR}
    }

    assert about_a_host - QUESTIONS == {call for call, _ in VERBS.values()}


@pytest.mark.parametrize(
    ("verb", "situation"), [(verb, situation) for verb in VERBS for situation in SITUATIONS]
)
def test_what_is_asked_of_a_host_is_done_or_refused_with_what_is_possible(
    verb: str, situation: str
) -> None:
    cluster = a_cluster(situation)
    ledger = cluster.manager.ledger
    before, counters = ledger.published, ledger.counters

    if (verb, situation) not in REFUSED:
        ask(cluster, verb)
        assert (ledger.published == before) == ((verb, situation) in AS_IT_IS)
        return
    with pytest.raises(HostStateError, match=REFUSED[verb, situation]):
        ask(cluster, verb)

    assert ledger.published == before
    assert ledger.counters == counters
