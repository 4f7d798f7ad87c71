"""What the commands that alter an instance ask, and what they say of the answer."""

import json

import msgspec
import pytest

from fakes.clients import Shell
from fakes.clusters import FakeClusterManager, entry
from fakes.records import WEB
from tashi.domain.states import InstanceState
from tashi.wire import forms as f


@pytest.mark.parametrize(
    ("words", "call", "arguments", "said"),
    [
        ("renameVm --instance web --name shop", "renameVm", {"name": "shop"}, "shop is its name"),
        ("resizeVm --instance web --cores 2", "resizeVm", {"cores": 2, "memory": None}, "size"),
        (
            "attachDisk --instance web --disk data.qcow2:True",
            "attachDisk",
            {"disk": f.DiskForm("data.qcow2", True)},
            "gets the disk",
        ),
        ("detachDisk --instance web --disk a", "detachDisk", {"uri": "a"}, "gives the disk back"),
        ("attachNic --instance web", "attachNic", {"nic": f.NicForm(1)}, "gets the network card"),
        (
            "attachNic --instance web --nic public::52:54:00:12:34:56",
            "attachNic",
            {"nic": f.NicForm(999, "52:54:00:12:34:56")},
            "gets the network card",
        ),
        ("detachNic --instance web --mac 5", "detachNic", {"mac": "5"}, "gives the network card"),
        ("changeCdrom --instance web --image i", "changeCdrom", {"image": "i"}, "CD changed"),
        ("changeCdrom --instance web", "changeCdrom", {"image": ""}, "CD changed"),
        ("vmmSpecificCall --instance web --arg list", "vmmSpecificCall", {"arg": "list"}, "list"),
        ("stopVnc --instance web", "stopVnc", {}, "shown to nobody new"),
    ],
)
def test_what_is_typed_arrives_and_what_was_done_is_said(
    words: str, call: str, arguments: dict[str, object], said: str
) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager).type(*words.split())

    assert ended.err == ""
    assert manager.done() == [(call, {"instance_id": 3, **arguments})]
    assert said in ended.out


def test_the_password_of_a_display_is_shown_with_the_place() -> None:
    shown = Shell(FakeClusterManager()).type("startVnc", "--instance", "web")
    scripts = Shell(FakeClusterManager()).type(
        *["startVnc", "--instance", "web", "--password", "mine", "--socket", "--output", "json"]
    )

    assert "127.0.0.1:5900 of rack1 with TLS" in shown.out
    assert "vncviewer -X509CA ca-cert.pem 127.0.0.1::5900" in shown.out
    assert "made-up1" in shown.out
    assert json.loads(scripts.out)["socket"] == "/run/vnc.sock"
    assert json.loads(scripts.out)["password"] == "mine"
    assert not json.loads(scripts.out)["tls"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("resizeVm --instance web", "--cores or how much --memory"),
        ("attachDisk --instance web --disk a,b", "one disk at a time"),
        ("attachNic --instance web --nic 1,2", "one network card at a time"),
        ("attachConsole --instance web", "run it in one"),
    ],
)
def test_a_slip_is_misuse_and_changes_nothing(words: str, complaint: str) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager).type(*words.split())

    assert (ended.code, manager.done()) == (2, [])
    assert complaint in ended.err


PLUG = "attachDisk --instance web --disk data.qcow2 --wait"


def plugged(reason: str = "") -> f.InstanceForm:
    """The instance when it is over: with its disk, or as it was for a reason."""
    disks = WEB.disks if reason else (*WEB.disks, f.DiskForm("data.qcow2", port=1))
    return msgspec.structs.replace(
        WEB, state=InstanceState.RUNNING, operation=13, disks=disks, reason=reason
    )


def test_plugging_is_waited_for() -> None:
    manager = FakeClusterManager(coming=[(entry(101, plugged()),)])

    ended = Shell(manager).type(*PLUG.split())

    assert (ended.code, ended.err) == (0, "")
    assert "web has the disk." in ended.out


def test_what_was_not_plugged_in_is_a_failure_with_the_reason() -> None:
    manager = FakeClusterManager(coming=[(entry(101, plugged("There is no slot.")),)])

    ended = Shell(manager).type(*PLUG.split())

    assert ended.code == 3
    assert "web is as it was: There is no slot." in ended.err
