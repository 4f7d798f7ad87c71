"""Every state in a whole cluster: what brings an instance there, and what takes it away again.

An instance rests in a moving state because its node hears nothing meanwhile. A state without a row
in `SCENARIOS` fails.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from cluster.cluster import Cluster, NodeSite
from lives import lives
from tashi.domain.identity import InstanceId
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, EventsForm, InstanceForm


class Stage:
    """A cluster with one instance, `web`, once it is created; `here` is its only host at first."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.here = self.cluster.add_node("h1")
        self.web = InstanceId(1)
        self.cluster.settle()

    def create(self) -> None:
        """Ask for it; it runs unless something is in the way."""
        assert self.cluster.create("web") == self.web
        self.cluster.settle()

    def ask(self, *calls: str, **arguments: Any) -> None:
        """Give its owner's commands."""
        for call in calls:
            self.cluster.calls().call(call, InstanceForm, instance_id=self.web, **arguments)
            self.cluster.settle()

    def another_host(self) -> NodeSite:
        """A second host, once the instance is on the first."""
        there = self.cluster.add_node("h2")
        self.cluster.settle()
        return there

    def hear_again(self) -> None:
        """Every node hears and is heard; what is overdue is said again."""
        for node in self.cluster.nodes.values():
            node.wire.cut = node.uplink.cut = False
        self.cluster.let_pass(70)


class Scenario(NamedTuple):
    """How an instance comes to rest in a state, and how it leaves; the states on either side."""

    before: S | None
    comes: Callable[[Stage], None]
    goes: Callable[[Stage], None]
    after: S | None


def _asked(*calls: str) -> Callable[[Stage], None]:
    """By its owner, of an instance that is there."""
    return lambda stage: stage.ask(*calls)


def _created(*calls: str) -> Callable[[Stage], None]:
    """An instance that ran, and was asked for something."""

    def comes(stage: Stage) -> None:
        stage.create()
        stage.ask(*calls)

    return comes


def _unheard(call: str, *first: str, **arguments: Any) -> Callable[[Stage], None]:
    """It was asked for something that its node has not heard of."""

    def comes(stage: Stage) -> None:
        stage.create()
        stage.ask(*first)
        stage.here.wire.cut = True
        stage.ask(call, **arguments)

    return comes


def _without_a_host(stage: Stage) -> None:
    stage.here.kill()
    stage.cluster.let_pass(32)
    stage.create()


def _host_comes_back(stage: Stage) -> None:
    stage.here.start()
    stage.cluster.settle()


def _start_unheard(stage: Stage) -> None:
    stage.here.wire.cut = True
    stage.create()


def _start_fails(stage: Stage) -> None:
    stage.here.hypervisor.start_fails = "No memory."
    stage.create()


def _start_succeeds(stage: Stage) -> None:
    stage.here.hypervisor.start_fails = ""
    stage.cluster.let_pass(5)


def _target_unheard(stage: Stage) -> None:
    stage.create()
    stage.another_host().wire.cut = True
    stage.ask("migrateVm", host_id=2)


def _crossing_unheard(stage: Stage) -> None:
    stage.create()
    stage.another_host()
    stage.cluster.ether.mute = stage.here.uplink.cut = True
    stage.ask("migrateVm", host_id=2)


def _button_ignored(stage: Stage) -> None:
    stage.here.hypervisor.ignores_power_button = True
    stage.create()
    stage.ask("shutdownVm")


def _powers_off(stage: Stage) -> None:
    stage.here.hypervisor.power_off(stage.web)
    stage.cluster.settle()


def _host_silent(stage: Stage) -> None:
    stage.create()
    stage.here.wire.cut = stage.here.uplink.cut = True
    stage.cluster.let_pass(32)


def _leftovers_unheard(stage: Stage) -> None:
    stage.here.hypervisor.store_fails = "No space left on device"
    stage.create()
    stage.ask("stopVm")
    stage.here.wire.cut = True
    stage.ask("destroyVm")


_DISK: Final = DiskForm("data.qcow2")

SCENARIOS: Final = {
    S.PENDING: Scenario(None, _without_a_host, _host_comes_back, S.ACTIVATING),
    S.ACTIVATING: Scenario(S.PENDING, _start_unheard, Stage.hear_again, S.RUNNING),
    S.HELD: Scenario(S.ACTIVATING, _start_fails, _start_succeeds, S.ACTIVATING),
    S.RUNNING: Scenario(S.ACTIVATING, _created(), _powers_off, S.EXITED),
    S.PAUSING: Scenario(S.RUNNING, _unheard("pauseVm"), Stage.hear_again, S.PAUSED),
    S.PAUSED: Scenario(S.PAUSING, _created("pauseVm"), _asked("unpauseVm"), S.UNPAUSING),
    S.UNPAUSING: Scenario(S.PAUSED, _unheard("unpauseVm", "pauseVm"), Stage.hear_again, S.RUNNING),
    S.SUSPENDING: Scenario(S.RUNNING, _unheard("suspendVm"), Stage.hear_again, S.SUSPENDED),
    S.SUSPENDED: Scenario(S.SUSPENDING, _created("suspendVm"), _asked("resumeVm"), S.PENDING),
    S.RESUMING: Scenario(S.PENDING, _unheard("resumeVm", "suspendVm"), Stage.hear_again, S.RUNNING),
    S.MIGRATE_PREP: Scenario(S.RUNNING, _target_unheard, Stage.hear_again, S.MIGRATE_TRANS),
    S.MIGRATE_TRANS: Scenario(S.MIGRATE_PREP, _crossing_unheard, Stage.hear_again, S.RUNNING),
    S.ALTERING: Scenario(
        S.RUNNING, _unheard("attachDisk", disk=_DISK), Stage.hear_again, S.RUNNING
    ),
    S.SHUTTING_DOWN: Scenario(S.RUNNING, _button_ignored, _powers_off, S.EXITED),
    S.DESTROYING: Scenario(S.RUNNING, _unheard("destroyVm"), Stage.hear_again, S.EXITED),
    S.ORPHANED: Scenario(S.RUNNING, _host_silent, Stage.hear_again, S.RUNNING),
    S.STOPPED: Scenario(S.SHUTTING_DOWN, _created("stopVm"), _asked("startVm"), S.PENDING),
    S.EXITED: Scenario(S.STOPPED, _leftovers_unheard, Stage.hear_again, None),
}


@pytest.mark.parametrize("state", list(S), ids=lambda one: one.title)
def test_it_is_reached_and_left_again(state: S) -> None:
    way, stage = SCENARIOS[state], Stage()

    way.comes(stage)
    rests_in = stage.cluster.state(stage.web)
    way.goes(stage)
    events = stage.cluster.calls().call("watch", EventsForm, since=1, timeout=0.0).events

    life = lives(events)[stage.web]
    reached = life.index(state)
    assert rests_in is state
    assert life[reached - 1 : reached + 2] == [way.before, state, way.after]
