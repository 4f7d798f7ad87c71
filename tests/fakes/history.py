"""A cluster manager that only tells what happened, for those who follow it."""

from dataclasses import dataclass, field
from functools import partial

from fakes.links import DirectLink
from tashi.domain.errors import TooOld
from tashi.domain.journal import Kind
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState
from tashi.wire import forms as f
from tashi.wire import versions
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.serving import Desk, Handler

RACK = f.HostForm(id=1, name="rack1", up=True, memory=4096, cores=8)


def instance(key: int, state: InstanceState, **more: object) -> f.InstanceForm:
    """An instance of user 1000 with two cores and 512 MiB."""
    wanted: dict[str, object] = {"user_id": 1000, "cores": 2, "memory": 512, "disks": (), **more}
    return f.InstanceForm(id=key, name=f"i{key}", state=state, **wanted)  # type: ignore[arg-type]


@dataclass
class FakeHistory:
    """Events are numbered from 1 on; those before `kept_from` are forgotten."""

    events: list[f.EntryForm] = field(default_factory=list)
    instances: dict[int, f.InstanceForm] = field(default_factory=dict)
    kept_from: int = 1
    most_at_once: int = 1000
    now: float = 1_700_000_000.0
    asked: list[str] = field(default_factory=list)

    @property
    def next(self) -> int:
        """The number of the next event."""
        return len(self.events) + 1

    def put(self, one: f.InstanceForm, line: str = "CM VM UPDATE") -> None:
        """An instance stands like that from now on."""
        self.instances[one.id] = one
        self._tell(one.id, line, one)

    def drop(self, key: int) -> None:
        """An instance is gone."""
        del self.instances[key]
        self._tell(key, "", None)

    def calls(self) -> tuple[Calls, DirectLink]:
        """Calls to it, and the link on which mishaps can be had."""
        handlers: dict[str, Handler] = {"getSnapshot": self._snapshot, "watch": self._watch}
        others = {name: partial(self._refuse, name) for name in CLUSTER_MANAGER}
        link = DirectLink(
            Desk(CLUSTER_MANAGER, {**others, **handlers}, versions.CLUSTER_MANAGER).answer
        )
        return to_cluster_manager(link, Caller(Role.AGENT, name="test")), link

    def _tell(self, key: int, line: str, one: f.InstanceForm | None) -> None:
        self.events.append(
            f.EntryForm(self.next, self.now, line, "test", Kind.INSTANCE, key, instance=one)
        )

    def _snapshot(self, _caller: Caller, _request: str) -> f.SnapshotForm:
        self.asked.append("getSnapshot")
        return f.SnapshotForm(tuple(self.instances.values()), (RACK,), (), (), self.next)

    def _watch(self, _caller: Caller, _request: str, since: int, **_: object) -> f.EventsForm:
        self.asked.append("watch")
        if not self.kept_from <= since <= self.next:
            raise TooOld(f"Event {since} is not kept.")
        found = tuple(self.events[since - 1 : since - 1 + self.most_at_once])
        return f.EventsForm(found, found[-1].number + 1 if found else since)

    def _refuse(self, name: str, *_: object, **__: object) -> object:
        raise AssertionError(f"Nobody who follows calls {name}.")
