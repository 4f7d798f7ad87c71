"""What a guest said last is read from the image store once its disks are there."""

from functools import partial

import pytest

from cluster.cluster import ALICE, Cluster
from tashi.domain.errors import ImagesFailed, NoSuchVm
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.permissions import Caller, Role
from tashi.wire.forms import ConsoleForm


def stopped(said: bytes) -> tuple[Cluster, InstanceId]:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    cluster.command("stopVm", web)
    cluster.settle()
    cluster.images.consoles["1-a1"] = said
    return cluster, web


def test_the_console_of_an_instance_at_rest_is_read_from_the_image_store() -> None:
    cluster, web = stopped(b"BOOT\nbye\n")
    ask = partial(cluster.calls().call, "getConsole", ConsoleForm, instance_id=web)

    whole = ask(offset=0, timeout=0.0)
    rest = ask(offset=5, timeout=30.0)
    cluster.images.is_away = True

    assert (whole.text, whole.offset) == ("BOOT\nbye\n", 9)
    assert (rest.text, rest.offset) == ("bye\n", 9)
    with pytest.raises(ImagesFailed):
        ask(offset=0, timeout=0.0)


def test_who_waits_for_more_on_the_console_of_an_instance_at_rest_is_answered_late() -> None:
    cluster, web = stopped(b"bye\n")
    handler = cluster.manager.handlers()["getConsole"]

    answer = handler(Caller(Role.USER, ALICE), "", web, 4, 10.0)
    cluster.let_pass(9)
    early = answer.done()
    cluster.let_pass(2)

    assert not early
    assert (answer.result(0).text, answer.result(0).offset) == ("", 4)


def test_an_instance_that_never_ran_has_no_console() -> None:
    cluster = Cluster()
    web = cluster.create("web")

    with pytest.raises(NoSuchVm, match="no console: it is Pending"):
        cluster.calls().call("getConsole", ConsoleForm, instance_id=web, offset=0, timeout=0.0)


def test_a_guest_on_a_host_with_the_number_0_has_a_console_as_well() -> None:
    cluster = Cluster()
    cluster.manager.ledger.ask(lambda draft: draft.put(Host(id=HostId(0), name="h0")))
    cluster.settle()
    cluster.add_node("h0")
    web = cluster.create("web")
    cluster.settle()

    shown = cluster.calls().call("getConsole", ConsoleForm, instance_id=web, offset=0, timeout=0.0)

    assert cluster.record(web).host_id == 0
    assert shown.offset == len(shown.text.encode())
