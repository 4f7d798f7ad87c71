"""Calls as no program of ours makes them: every call of both daemons, with forged arguments.

For each argument of each call, whatever its type, there is a list of values that somebody could
try. The daemons are real and their hypervisor is simulated. Whatever is sent, an answer comes, it
is a sentence, and the daemons go on: none has died, and none was surprised by what it was told.
"""

import json
import os
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
import pytest

from plain_forms import plain, whole
from system.books import Place
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.rpyc.peers import Link
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role, Who
from tashi.domain.states import InstanceState
from tashi.wire import codec, envelope, versions
from tashi.wire.forms import DiskForm, InstanceForm, MachineForm, NewInstanceForm
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER, Method, Row

HUGE: Final = "x" * 100_000
FORGED: Final[Mapping[type, tuple[object, ...]]] = {
    int: (-1, 2**31, 2**63, 2**100, -(2**63), True, 1.5, "1", None),
    str: (
        "", HUGE, "a\nb", "a\0b", "../../cm.dat", "/etc/passwd", "a,readonly=on", "json:{}", "-S",
        "\u202e\x1b[31m", "a/" * 2000 + "b", "..", 7, None,
    ),
    float: (-1e308, 1e308, "1", None),
    bool: ("yes", 1, None),
    bytes: ("%%%", "A" * 1_000_000, 5),
    dict: ({"x" * 1000: "y"}, {"a": 1}, {f"x-{n}": "v" * 200 for n in range(2000)}),
}  # fmt: skip
ROLES: Final = {
    Who.SCHEDULER: Role.SCHEDULER,
    Who.ADMIN: Role.ADMIN,
    Who.NODE: Role.NODE,
    Who.CLUSTER_MANAGER: Role.CLUSTER_MANAGER,
}
WAITS: Final = {"watch"}
"""What waits on purpose for as long as nothing happens: asked without its time to wait."""
LONGEST_SENTENCE: Final = 400
RAW: Final = (b"", b"\0", b"{}", b"\xff" * 700_000)


def forged(kind: Any) -> Iterator[object]:
    """Values for an argument of that type that are wrong, or at least odd."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        for one in inner:
            yield from forged(one)
    elif origin is Annotated:
        yield from forged(inner[0])
    elif origin is tuple:
        yield from ({}, "x", [[]], [plain(inner[0])] * 2000)
        yield from ([value] for value in forged(inner[0]))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from ([], {**whole(kind), "extra": 1})
        for field in msgspec.structs.fields(kind):
            for value in forged(field.type):
                yield {**whole(kind), field.encode_name: value}
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from ("nothing", 10**6, HUGE)
    else:
        yield from FORGED.get(origin or kind, ())


def attempts(row: Method) -> Iterator[object]:
    """Everything that a call is tried with."""
    yield from ([], {"extra": 1})
    for field in msgspec.structs.fields(row.takes):
        for value in forged(field.type):
            waits = {"timeout": 0.0} if row.name in WAITS else {}
            yield {**whole(row.takes), **waits, field.encode_name: value}


def answers(link: Link, version: versions.Version, rows: Row) -> Iterator[tuple[str, Any]]:
    """What each attempt was answered: the call with its arguments, and the answer."""
    for row in rows.values():
        who = Caller(ROLES.get(row.who, Role.USER), UserId(os.getuid()))
        for number, arguments in enumerate(attempts(row)):
            wanted = json.dumps(arguments)
            request = envelope.write_request(
                str(version), f"{row.name} {number}", row.name, wanted.encode(), who
            )
            answer = codec.text_of(link.call(request, 70.0))
            yield f"{row.name} {wanted[:300]}", json.loads(answer)


def raw_answers(link: Link, version: versions.Version, rows: Row) -> Iterator[tuple[str, Any]]:
    """What requests with raw bytes behind them were answered, whatever they belong to."""
    for row in rows.values():
        who = Caller(ROLES.get(row.who, Role.USER), UserId(os.getuid()))
        wanted = json.dumps(whole(row.takes)).encode()
        for number, raw in enumerate(RAW):
            request = envelope.write_request(
                str(version), f"raw {row.name} {number}", row.name, wanted, who
            )
            answer = codec.text_of(link.call(codec.joined(request, raw), 70.0))
            yield f"{row.name} with {len(raw)} raw bytes", json.loads(answer)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, books: Place) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("s"), Shape(vmm=SIMULATED, cores=4, books=books))
    site.add_image("empty.qcow2")
    site.start()
    wanted = NewInstanceForm("web", (DiskForm("empty.qcow2"),))
    site.calls.call("createVm", InstanceForm, instance=wanted)
    site.until(lambda now: [one.state for one in now.instances] == [InstanceState.RUNNING])
    yield site
    assert not site.end()


@pytest.mark.parametrize("of_nodes", [False, True], ids=["cluster manager", "node manager"])
def test_forged_calls_are_answered_in_a_sentence_and_surprise_nobody(
    site: Site, of_nodes: bool
) -> None:
    (host,) = site.now().hosts
    port = host.port if of_nodes else site.port
    rows = NODE_MANAGER if of_nodes else CLUSTER_MANAGER
    interface = versions.NODE_MANAGER if of_nodes else versions.CLUSTER_MANAGER
    link = Link(("127.0.0.1", port))

    given = list(answers(link, interface.version, rows))
    with_raw = list(raw_answers(link, interface.version, rows))

    link.close()
    given += with_raw
    done = {asked.partition(" ")[0] for asked, answer in with_raw if "error" not in answer}
    assert done <= {"typeConsole"}
    assert len(given) > 20 * len(rows)
    for asked, answer in given:
        if (error := answer.get("error")) is None:
            continue
        assert error["kind"] != "Broken", f"{asked}: {error}"
        assert error["msg"].isprintable(), f"{asked}: {error}"
        assert len(error["msg"]) < LONGEST_SENTENCE, f"{asked}: {error}"
    assert all(daemon.is_alive() for daemon in site.daemons)
    assert "Traceback" not in site.story(lines=10**6)
    site.until(lambda now: now.hosts[0].up)


@pytest.mark.every_store
def test_what_no_machine_can_be_never_gets_into_the_books(site: Site) -> None:
    row = CLUSTER_MANAGER["registerNodeManager"]
    before = [host.name for host in site.now().hosts]
    node = Caller(Role.NODE)
    machine = {**whole(MachineForm), "name": "stranger", "port": 1}
    odd: dict[str, tuple[object, ...]] = {
        "memory": (-1, 2**31, 2**100),
        "cores": (-1, 2**31, 2**100),
        "port": (-1, 2**16),
        "networks": ([-1], [4095], [1] * 5000),
        "version": (HUGE, "a\nb"),
        "address": (HUGE, "a\0b"),
        "engine": (
            {"qemu": "7.2", "accel": HUGE},
            {"qemu": "7.2", "accel": "tcg", "models": [""] * 5000},
        ),
    }  # fmt: skip

    with site.another_link() as link:
        for name, values in odd.items():
            for number, value in enumerate(values):
                wanted = json.dumps({"machine": {**machine, name: value}, "register": True})
                request = envelope.write_request(
                    str(versions.CLUSTER_MANAGER.version), f"{name} {number}", row.name,
                    wanted.encode(), node,
                )  # fmt: skip
                answer = json.loads(link.call(request, 10.0))
                assert "error" in answer, f"{name}={str(value)[:80]}"

    assert [host.name for host in site.now().hosts] == before
