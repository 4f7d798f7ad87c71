"""Every call of both daemons by everybody who could make it: allowed or refused, as the page says.

Nothing here names a call. The handlers are the real ones, so a row that is for owners, and whose
handler forgot to look whose the instance is, fails here.
"""

import json
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from cluster.cluster import Cluster, Wire
from plain_forms import whole
from tashi.domain.errors import NotLoggedIn, NotPermitted, TashiError
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven, Role, may
from tashi.domain.proofs import NOBODY_KNOWN, Certificate, caller_by
from tashi.wire import envelope, versions
from tashi.wire.forms import DiskForm, HostForm, InstanceForm, NewInstanceForm
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER, Method
from tashi.wire.pages import COLUMNS
from tashi.wire.serving import Desk

NAMES: Final = [name for name, _, _ in COLUMNS]
WAITS: Final = {"watch"}


def desk_of(cluster: Cluster, caller: Caller) -> Desk:
    """The cluster manager's desk, to which everything comes from that caller."""
    return Desk(
        CLUSTER_MANAGER,
        cluster.manager.handlers(),
        versions.CLUSTER_MANAGER,
        identify=lambda _request, _peer: caller,
    )


def is_refused(wire: Wire, version: versions.Version, row: Method, about: dict[str, int]) -> bool:
    """Whether a call is refused because of who makes it; other mistakes do not count."""
    wanted = {**whole(row.takes), **({"timeout": 0.0} if row.name in WAITS else {})}
    wanted |= {name: value for name, value in about.items() if name in wanted}
    request = envelope.write_request(
        str(version), f"{row.name} {about}", row.name, json.dumps(wanted).encode()
    )
    try:
        envelope.read_answer(wire.call(request, 10.0), f"{row.name} {about}")
    except (NotPermitted, NotLoggedIn):
        return True
    except TashiError:
        return False
    return False


@pytest.mark.parametrize(("name", "caller", "owner"), COLUMNS, ids=NAMES)
def test_the_cluster_manager_lets_in_whom_the_page_names(
    name: str, caller: Caller, owner: UserId
) -> None:
    cluster = Cluster()
    root = cluster.calls(UserId(0), Role.ADMIN)
    host = root.call("addHost", HostForm, name="h1")
    wire = Wire(cluster)
    wire.desk = desk_of(cluster, replace(caller, name=name))
    version = versions.CLUSTER_MANAGER.version

    found = {}
    for row in CLUSTER_MANAGER.values():
        wanted = NewInstanceForm(f"for-{row.name}", (DiskForm("web.qcow2"),))
        instance = cluster.calls(owner).call("createVm", InstanceForm, instance=wanted).id
        about = {"instanceId": instance, "hostId": host.id}
        found[row.name] = not is_refused(wire, version, row, about)

    assert found == {row.name: may(row.who, caller, owner) for row in CLUSTER_MANAGER.values()}


@pytest.mark.parametrize(("name", "caller", "owner"), COLUMNS, ids=NAMES)
def test_a_node_manager_lets_in_whom_the_page_names(
    name: str, caller: Caller, owner: UserId
) -> None:
    cluster = Cluster()
    site = cluster.add_node("h1")
    assert site.manager is not None
    wire = Wire(cluster)
    wire.desk = Desk(
        NODE_MANAGER,
        site.manager.handlers(),
        versions.NODE_MANAGER,
        identify=lambda _request, _peer: replace(caller, name=name),
    )
    version = versions.NODE_MANAGER.version

    found = {row.name: not is_refused(wire, version, row, {}) for row in NODE_MANAGER.values()}

    assert found == {row.name: may(row.who, caller, owner) for row in NODE_MANAGER.values()}


@pytest.mark.parametrize("call", ["registerNodeManager", "reportNode", "tellGuests"])
def test_a_node_with_a_certificate_speaks_for_its_own_host_only(call: str) -> None:
    cluster = Cluster()
    ours, theirs = cluster.add_node("h1"), cluster.add_node("h2")
    cluster.settle()
    before = cluster.manager.ledger.published
    proof = Certificate("nodemanager", "h1")
    node = caller_by(proof, Caller(Role.ADMIN), NOBODY_KNOWN, demanded=True)
    wire = Wire(cluster)
    wire.desk = desk_of(cluster, node)
    ids = {host.name: host for host in cluster.manager.ledger.books.hosts.values()}

    def said_of(site_name: str) -> bool:
        host = ids[site_name]
        machine = {**whole_machine(), "name": site_name}
        session = {"hostId": host.id, "epoch": 1, "session": host.session}
        said = {
            "registerNodeManager": {"machine": machine},
            "reportNode": {"session": session, "number": 99, "reports": []},
            "tellGuests": {"hostId": host.id, "session": host.session, "guests": []},
        }[call]
        request = envelope.write_request("1.2", site_name, call, json.dumps(said).encode())
        try:
            envelope.read_answer(wire.call(request, 10.0), site_name)
        except NotPermitted as refused:
            return "speaks for h1 only, not for h2" not in refused.message
        except TashiError:  # what is said may be odd in other ways
            return True
        return True

    assert not said_of(theirs.machine.name)
    assert cluster.manager.ledger.published == before
    assert said_of(ours.machine.name)


def whole_machine() -> dict[str, object]:
    machine = msgspec.structs.fields(CLUSTER_MANAGER["registerNodeManager"].takes)[0].type
    return {**whole(machine), "port": 9883}


def test_what_is_shown_counts_and_not_what_is_said() -> None:
    scheduler = Certificate("scheduler", "s1")

    caller = caller_by(scheduler, Caller(Role.ADMIN, UserId(0)), NOBODY_KNOWN, demanded=False)

    assert (caller.role, caller.user_id, caller.is_admin) == (Role.SCHEDULER, None, False)
    assert caller.proven is Proven.CERTIFICATE
