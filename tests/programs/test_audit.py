"""Who did what, from where, and how it ended: one line each, and no secret in any."""

import json
from typing import Final

import msgspec
import pytest

from cluster.cluster import Cluster
from plain_forms import whole
from tashi.domain.errors import NotLoggedIn, NotPermitted, TashiError
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven, Role, may
from tashi.ports.peers import Peer
from tashi.programs.audit import Audit
from tashi.programs.loglines import JsonLines
from tashi.wire import envelope, versions
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    DiskForm,
    HostForm,
    InstanceForm,
    NewInstanceForm,
    ProposalForm,
    VerdictForm,
)
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER, Method, Row
from tashi.wire.pages import COLUMNS
from tashi.wire.serving import Desk, Handler

ADA: Final = Caller(Role.USER, UserId(500), "user 500 (ada)", Proven.CERTIFICATE)
ROOT: Final = Caller(Role.ADMIN, UserId(0), "user 0 (root)", Proven.KERNEL)
PEER: Final = Peer("10.0.0.7", 4711)
HUSH: Final = "hush-hush"


class Wire:
    """A link to one desk whose deeds are noted; everything comes from one caller."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.caller = ROOT
        self.audit = Audit()

    def desk(self, rows: Row, handlers: dict[str, Handler], of: versions.Interface) -> Desk:
        return Desk(
            rows,
            handlers,
            of,
            identify=lambda _request, _peer: self.caller,
            note=self.audit.note,
        )

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        del timeout_seconds, repeatable
        desk = self.desk(CLUSTER_MANAGER, self.cluster.manager.handlers(), versions.CLUSTER_MANAGER)
        identity, _ = envelope.glance(request)
        try:
            answer = desk.answer(request, PEER)
            if not isinstance(answer, bytes):
                self.cluster.pump_until(answer)
                answer = answer.result(0)
        except TashiError as error:
            return envelope.write_error(identity, error)
        return answer


@pytest.fixture(autouse=True)
def _lines_are_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tashi.audit")


def audited(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "tashi.audit"]


def hushed(row: Method) -> dict[str, object]:
    """Arguments of a call, with a secret in all that may hold words of people."""
    words = {
        field.encode_name: HUSH
        for field in msgspec.structs.fields(row.takes)
        if field.name in {"password", "current", "arg", "notes", "sha256"}
    }
    data = {"data": "aHVzaC1odXNo"} if "data" in row.takes.__struct_fields__ else {}
    return {**whole(row.takes), **words, **data}


def calling(wire: Wire) -> Calls:
    return Calls(
        rows=CLUSTER_MANAGER, version=versions.CLUSTER_MANAGER.version, link=wire, who=wire.caller
    )


@pytest.mark.parametrize("of_nodes", [False, True], ids=["cluster manager", "node manager"])
def test_every_call_that_changes_something_leaves_one_line_and_no_other_does(
    caplog: pytest.LogCaptureFixture, of_nodes: bool
) -> None:
    cluster = Cluster()
    wire = Wire(cluster)
    site = cluster.add_node("h1")
    assert site.manager is not None
    rows = NODE_MANAGER if of_nodes else CLUSTER_MANAGER
    handlers = site.manager.handlers() if of_nodes else cluster.manager.handlers()
    interface = versions.NODE_MANAGER if of_nodes else versions.CLUSTER_MANAGER
    desk = wire.desk(rows, handlers, interface)

    found = {}
    for row in rows.values():
        caplog.clear()
        wire.caller = next(caller for _, caller, of in COLUMNS if may(row.who, caller, of))
        args = hushed(row) | ({"timeout": 0.0} if "timeout" in row.takes.__struct_fields__ else {})
        request = envelope.write_request(
            str(interface.version), row.name, row.name, json.dumps(args).encode()
        )
        try:
            answer = desk.answer(request, PEER)
            if not isinstance(answer, bytes):
                cluster.pump_until(answer)
        except TashiError:
            pass  # refused or not, it is told of
        found[row.name] = len(audited(caplog))
        assert HUSH not in caplog.text

    assert found == {row.name: int(row.changes) for row in rows.values()}


def test_a_line_says_who_from_where_what_and_how_it_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire = Wire(Cluster())
    host = calling(wire).call("addHost", HostForm, name="h1")
    wire.caller = ADA
    wanted = NewInstanceForm("web", (DiskForm("web.qcow2"),))
    made = calling(wire).call("createVm", InstanceForm, instance=wanted)
    with pytest.raises(NotPermitted):
        calling(wire).call("delHost", HostForm, host_id=host.id)

    added, created, refused = audited(caplog)
    ada = f"user 500 (ada), known by a certificate, from {PEER}"
    assert added == (
        f"user 0 (root), known by the kernel, from {PEER}: addHost name='h1' host={host.id}: ok"
    )
    assert created == f"{ada}: createVm name='web' instance={made.id}: ok"
    assert refused == f"{ada}: delHost: NotPermitted"


def test_a_line_as_json_has_its_parts_as_keys(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(Cluster())
    host = calling(wire).call("addHost", HostForm, name="h1")

    (record,) = (one for one in caplog.records if one.name == "tashi.audit")
    said = json.loads(JsonLines().format(record))

    assert {key: said[key] for key in ("level", "logger", "who", "proof", "from", "call")} == {
        "level": "INFO",
        "logger": "tashi.audit",
        "who": "user 0 (root)",
        "proof": "the kernel",
        "from": str(PEER),
        "call": "addHost",
    }
    assert (said["host"], said["name"], said["result"]) == (host.id, "h1", "ok")


def test_names_cannot_forge_lines(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(Cluster())

    with pytest.raises(TashiError):
        calling(wire).call("addHost", HostForm, name="h1: ok\nuser 0 (root)")

    (line,) = audited(caplog)
    assert "name='h1: ok�user 0 (root)': " in line


def test_of_many_instances_some_are_named(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(Cluster())
    wire.caller = Caller(Role.SCHEDULER, name="scheduler s1", proven=Proven.CERTIFICATE)
    several = tuple(ProposalForm(key, 1) for key in range(100, 125))

    calling(wire).call("placeVms", tuple[VerdictForm, ...], proposals=several)

    (line,) = audited(caplog)
    assert "placeVms instances='100, 101, 102," in line
    assert "118, 119 and 5 more': ok" in line


def test_strangers_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(Cluster())
    wire.caller = Caller(Role.USER, name="somebody", proven=Proven.NOTHING)

    for _ in range(50):
        with pytest.raises(NotLoggedIn):
            calling(wire).call("addHost", HostForm, name="h1")

    (line,) = audited(caplog)
    assert line.startswith("Somebody at 10.0.0.7 asked for addHost: addHost is for those who show")
