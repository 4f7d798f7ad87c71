"""Emptying a host from the command line: the plan, the wait, and what cannot be moved."""

import json

import msgspec
import pytest

from fakes.clients import Ended, Shell, admin_front
from fakes.clusters import FakeClusterManager, entry
from fakes.records import WEB
from tashi.domain.errors import TooOld
from tashi.domain.placement.fate import Fate
from tashi.domain.states import InstanceState
from tashi.wire.answers import HostWhyForm, ReasonForm
from tashi.wire.drains import EvacueeForm

MOVES = EvacueeForm(3, "web", InstanceState.RUNNING, Fate.MOVES, "can move to rack2", 2, "rack2")
LEAVES = EvacueeForm(3, "web", InstanceState.MIGRATE_PREP, Fate.LEAVES, "is on its way", 2, "rack2")
STAYS = EvacueeForm(
    12,
    "db",
    InstanceState.RUNNING,
    Fate.STAYS,
    "is kept off every other host: rack2 has 512 of 8192 MiB free; 2048 are needed, 1536 short",
    hosts=(HostWhyForm(2, "rack2", (ReasonForm("memory", "is full", 1536),)),),
)
Plans = list[tuple[EvacueeForm, ...]]


def drain(manager: FakeClusterManager, *more: str, width: int | None = None) -> Ended:
    return Shell(manager, uid=0, width=width).type("drain", "--host", "rack1", *more)


def test_a_plan_shows_where_each_goes_and_why_one_cannot_and_asks_for_nothing_else() -> None:
    manager = FakeClusterManager(plans=[(MOVES, STAYS)], drains=False)

    ended = drain(manager, "--plan")

    assert ended.code == 0
    assert ended.out == (
        "Host rack1 is not being emptied yet. Of 2 instances: 1 can move, 1 must stay.\n"
        "instanceId  name  state    fate   target\n"
        "         3  web   Running  moves  rack2\n"
        "        12  db    Running  stays  -\n"
        "db is kept off every other host: rack2 has 512 of 8192 MiB free; 2048 are needed, "
        "1536 short.\n"
    )
    assert "drainHost" not in [name for name, _ in manager.asked]


def test_scripts_get_the_plan_with_every_number() -> None:
    manager = FakeClusterManager(plans=[(STAYS,)])

    ended = drain(manager, "--plan", "--output", "json")

    plan = json.loads(ended.out)
    assert plan["host"]["name"] == "rack1"
    assert plan["host"]["draining"] is True
    (one,) = plan["instances"]
    assert (one["instanceId"], one["fate"], one["targetId"]) == (12, "stays", None)
    assert one["hosts"][0]["reasons"][0]["shortBy"] == 1536


def test_a_drain_is_begun_and_says_what_it_does() -> None:
    manager = FakeClusterManager(plans=[(LEAVES,)])

    ended = drain(manager)

    assert ended.code == 0
    assert "Host rack1 is being emptied. Of 1 instance: 1 on the way off.\n" in ended.out
    assert ended.out.endswith("web is on its way to rack2.\n")


def test_an_empty_host_is_drained_at_once() -> None:
    ended = drain(FakeClusterManager(), "--wait")

    assert (ended.code, ended.out) == (0, "Host rack1 is empty and Drained.\n")


def test_a_wait_ends_when_the_host_is_empty() -> None:
    moved = entry(100, msgspec.structs.replace(WEB, host_id=2))
    manager = FakeClusterManager(plans=[(MOVES,), (LEAVES,), ()], coming=[(moved,), (moved,)])

    ended = drain(manager, "--wait")

    assert (ended.code, ended.out) == (0, "Host rack1 is empty and Drained.\n")
    assert manager.now == 0.0


def test_a_wait_passes_over_events_of_other_hosts() -> None:
    other = entry(100, msgspec.structs.replace(WEB, id=99, host_id=2))
    ours = entry(101, WEB)
    manager = FakeClusterManager(plans=[(MOVES,), ()], coming=[(other,), (ours,)])

    ended = drain(manager, "--wait")

    assert ended.code == 0
    assert [name for name, _ in manager.asked].count("getDrainPlan") == 2


def test_a_wait_that_fell_behind_looks_at_the_plan_again() -> None:
    manager = FakeClusterManager(plans=[(MOVES,), ()], coming=[TooOld("It is not kept.")])

    assert drain(manager, "--wait").code == 0


def test_a_wait_fails_when_what_is_left_cannot_be_moved_and_names_it() -> None:
    manager = FakeClusterManager(plans=[(MOVES, STAYS), (STAYS,)], coming=[(entry(100, WEB),)])

    ended = drain(manager, "--wait")

    assert ended.code == 3
    assert ended.err == (
        "tashi-client: Nothing more can be moved: 1 instance is left on rack1 (db is kept off "
        "every other host: rack2 has 512 of 8192 MiB free; 2048 are needed, 1536 short). The "
        "emptying goes on, and what can be moved later will be; undrain opens the host again.\n"
    )


def test_a_wait_ends_when_somebody_takes_the_wish_back() -> None:
    ended = drain(FakeClusterManager(plans=[(MOVES,)], drains=False), "--wait")

    assert (ended.code, ended.err) == (
        3,
        "tashi-client: Host rack1 is no longer being emptied.\n",
    )


def test_a_wait_is_over_when_its_time_is() -> None:
    ended = drain(FakeClusterManager(plans=[(LEAVES,)]), "--wait", "--timeout", "45")

    assert ended.code == 3
    assert ended.err == (
        "tashi-client: After 45 s 1 instance is left on rack1 (web is on its way to rack2). "
        "The wait is over, the emptying goes on.\n"
    )


def test_people_see_how_far_it_is() -> None:
    moved = entry(100, WEB)
    both = (LEAVES, msgspec.structs.replace(MOVES, instance_id=4, name="mail"))
    manager = FakeClusterManager(plans=[both, both[1:], ()], coming=[(moved,), (moved,)])

    ended = drain(manager, "--wait", width=80)

    assert "mail waiting" in ended.err
    assert "1/2" in ended.err


def test_a_plan_is_not_waited_for() -> None:
    manager = FakeClusterManager()

    ended = drain(manager, "--plan", "--wait")

    assert ended.code == 2
    assert manager.asked == []


@pytest.mark.parametrize(
    ("command", "call", "said"),
    [
        ("cancelDrain", "cancelDrain", "Host rack1 is no longer being emptied: it is Normal.\n"),
        ("undrain", "undrainHost", "Host rack1 is no longer drained: it is Normal.\n"),
    ],
)
def test_a_host_is_opened_again(command: str, call: str, said: str) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager, uid=0).type(command, "--host", "rack1")

    assert (ended.code, ended.out) == (0, said)
    assert manager.done() == [(call, {"host_id": 1})]


@pytest.mark.parametrize("command", ["drain", "cancelDrain", "undrain"])
def test_administrators_find_the_same_in_tashi_admin(command: str) -> None:
    ended = Shell(FakeClusterManager(), admin_front(), uid=0).type(command, "--host", "rack1")

    assert ended.code == 0


def declare(manager: FakeClusterManager, *more: str, typed: str | None = None) -> Ended:
    shell = Shell(manager, admin_front(), uid=0, typed=typed)
    return shell.type("declareHostDead", "--host", "rack1", *more)


def test_a_host_is_declared_dead_only_when_somebody_says_that_it_is_off() -> None:
    manager = FakeClusterManager()

    yes = declare(manager, typed="y\n")

    assert (yes.code, yes.out) == (0, "Host rack1 counts as dead.\n")
    assert "What ran on rack1 (web) will be taken as lost" in yes.err
    assert yes.err.endswith("Is rack1 switched off? [y/N] ")
    assert manager.done() == [("declareHostDead", {"host_id": 1})]


@pytest.mark.parametrize("typed", ["\n", "n\n", "what?\n", ""])
def test_anything_but_yes_does_nothing(typed: str) -> None:
    manager = FakeClusterManager()

    ended = declare(manager, typed=typed)

    assert ended.code == 1
    assert ended.err.endswith("tashi-admin: Nothing was done.\n")
    assert manager.done() == []


def test_where_nobody_can_be_asked_it_has_to_be_said_beforehand() -> None:
    manager = FakeClusterManager()

    unasked = declare(manager)
    as_json = declare(manager, "--output", "json", typed="y\n")
    said = declare(manager, "--yes")

    assert (unasked.code, as_json.code, said.code) == (1, 1, 0)
    assert "say --yes" in unasked.err
    assert len(manager.done()) == 1


@pytest.mark.parametrize("more", [(), ("--wait",)])
def test_scripts_get_the_plan_of_an_empty_host_as_well(more: tuple[str, ...]) -> None:
    ended = drain(FakeClusterManager(), *more, "--output", "json")

    plan = msgspec.json.decode(ended.out)
    assert (plan["host"]["name"], plan["host"]["state"]) == ("rack1", "Drained")
    assert plan["instances"] == []
