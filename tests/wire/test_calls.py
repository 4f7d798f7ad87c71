"""What a program may rely on when it calls a service through its rows."""

from collections.abc import Mapping

import pytest

from fakes.links import DirectLink
from tashi.domain.errors import Broken, NoSuchInstance, OutcomeUnknown, VersionMismatch
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState
from tashi.wire import forms, versions
from tashi.wire.calls import Calls, to_cluster_manager, to_node_manager
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER, Row
from tashi.wire.serving import Desk, Handler

ALICE = Caller(Role.USER, UserId(1000))
Networks = tuple[forms.NetworkForm, ...]
WEB = forms.InstanceForm(
    id=3,
    name="web",
    user_id=1000,
    cores=1,
    memory=128,
    disks=(forms.DiskForm("web.qcow2"),),
    state=InstanceState.PAUSING,
)


def calls_to(handlers: Mapping[str, Handler]) -> tuple[Calls, DirectLink]:
    rows: Row = {name: CLUSTER_MANAGER[name] for name in handlers}
    link = DirectLink(Desk(rows, handlers, versions.CLUSTER_MANAGER).answer)
    return to_cluster_manager(link, ALICE), link


def test_a_call_brings_its_arguments_and_the_answer_in_the_form_of_its_row() -> None:
    calls, _ = calls_to({"pauseVm": lambda caller, _id, instance_id: {3: WEB}[instance_id]})

    answer = calls.call("pauseVm", forms.InstanceForm, instance_id=3)

    assert answer == WEB


def test_a_tuple_comes_back_as_a_tuple() -> None:
    office = forms.NetworkForm(1, "office", default=True)
    calls, _ = calls_to({"getNetworks": lambda caller, _id: [office]})

    assert calls.call("getNetworks", Networks) == (office,)


def test_the_error_of_the_service_is_raised_with_what_it_is_about() -> None:
    def lost(caller: Caller, request_id: str, instance_id: int) -> object:
        raise NoSuchInstance(f"There is no instance {instance_id}.", instance=instance_id)

    calls, _ = calls_to({"pauseVm": lost})

    with pytest.raises(NoSuchInstance, match=r"There is no instance 9\.") as raised:
        calls.call("pauseVm", forms.InstanceForm, instance_id=9)
    assert raised.value.about == {"instance": 9}


def test_the_service_is_told_who_calls() -> None:
    def introduce(caller: Caller, request_id: str) -> object:
        return [forms.NetworkForm(1, caller.name)]

    calls, _ = calls_to({"getNetworks": introduce})

    assert calls.call("getNetworks", Networks)[0].name == "user 1000"


def test_every_request_has_an_id_of_its_own() -> None:
    calls, link = calls_to({"getNetworks": lambda caller, _id: ()})

    calls.call("getNetworks", Networks)
    calls.call("getNetworks", Networks)

    first, second = (sent.request.id for sent in link.sent)
    assert first != second


def test_an_unknown_outcome_is_asked_for_once_more_under_the_same_id() -> None:
    calls, link = calls_to({"pauseVm": lambda caller, _id, instance_id: WEB})
    link.mishaps = [OutcomeUnknown("Perhaps.")]

    assert calls.call("pauseVm", forms.InstanceForm, instance_id=3) == WEB
    first, second = (sent.request.id for sent in link.sent)
    assert first == second


def test_an_outcome_that_stays_unknown_is_raised() -> None:
    calls, link = calls_to({"pauseVm": lambda caller, _id, instance_id: WEB})
    link.mishaps = [OutcomeUnknown("Perhaps."), OutcomeUnknown("Perhaps.")]

    with pytest.raises(OutcomeUnknown):
        calls.call("pauseVm", forms.InstanceForm, instance_id=3)


def test_what_must_not_be_repeated_is_sent_once() -> None:
    calls, link = calls_to({"resetVm": lambda caller, _id, instance_id: WEB})
    link.mishaps = [OutcomeUnknown("Perhaps.")]

    with pytest.raises(OutcomeUnknown):
        calls.call("resetVm", forms.InstanceForm, instance_id=3)
    assert [sent.repeatable for sent in link.sent] == [False]


def test_a_call_that_waits_on_purpose_is_given_that_time_on_top() -> None:
    quiet = forms.EventsForm(events=(), next=7)
    calls, link = calls_to({"watch": lambda caller, _id, since, timeout, instance_id: quiet})

    calls.call("watch", forms.EventsForm, since=7, timeout=25.0)

    assert link.sent[0].timeout_seconds == 35.0


def test_expecting_another_form_than_the_row_gives_is_a_mistake_of_ours() -> None:
    calls, link = calls_to({"getNetworks": lambda caller, _id: ()})

    with pytest.raises(Broken, match="getNetworks gives"):
        calls.call("getNetworks", forms.HostForm)
    assert link.sent == []


def test_a_node_manager_is_called_in_the_same_way() -> None:
    rows: Row = {"liveCheck": NODE_MANAGER["liveCheck"]}
    session = forms.SessionForm(host_id=1, epoch=2, session=3)
    desk = Desk(rows, {"liveCheck": lambda caller, _id, epoch: session}, versions.NODE_MANAGER)
    calls = to_node_manager(DirectLink(desk.answer), Caller(Role.CLUSTER_MANAGER))

    assert calls.call("liveCheck", forms.SessionForm, epoch=2) == session


def a_service_of(minor: int, major: int = 1) -> versions.Interface:
    """The cluster manager as it was, or will be."""
    return versions.Interface(
        "the cluster manager", (versions.Line(versions.Version(major, minor), "Then."),)
    )


def test_a_service_of_the_minor_version_before_is_spoken_to_in_its_own() -> None:
    ours = versions.CLUSTER_MANAGER.version
    rows: Row = {"pauseVm": CLUSTER_MANAGER["pauseVm"]}
    older = a_service_of(ours.minor - 1)
    desk = Desk(rows, {"pauseVm": lambda caller, _id, instance_id: WEB}, older)
    calls = to_cluster_manager(DirectLink(desk.answer), ALICE)

    assert calls.call("pauseVm", forms.InstanceForm, instance_id=3) == WEB


@pytest.mark.parametrize("service", [a_service_of(0, major=2), a_service_of(9)])
def test_a_service_that_is_too_far_from_us_is_not_spoken_to(service: versions.Interface) -> None:
    rows: Row = {"pauseVm": CLUSTER_MANAGER["pauseVm"]}
    desk = Desk(rows, {"pauseVm": lambda caller, _id, instance_id: WEB}, service)
    calls = to_cluster_manager(DirectLink(desk.answer), ALICE)

    with pytest.raises(VersionMismatch, match="upgrade the older one"):
        calls.call("pauseVm", forms.InstanceForm, instance_id=3)
