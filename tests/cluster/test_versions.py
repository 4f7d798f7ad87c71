"""Node managers of another version than the cluster manager, in a whole cluster."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from cluster.cluster import POLICY, Cluster, NodeSite
from cluster.draining import act, admin, host
from fakes.links import DirectLink
from tashi import __version__
from tashi.domain.errors import HostStateError, VersionMismatch
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.ports.metrics import Unwatched
from tashi.ports.peers import Peer
from tashi.programs.doorman import Doorman
from tashi.wire.answers import WhyForm
from tashi.wire.calls import to_cluster_manager
from tashi.wire.forms import HostForm
from tashi.wire.versions import Version

OLDER = "0.0.9"


def restarted_as(site: NodeSite, version: str) -> None:
    """Another version of the node manager takes the place of the one that runs."""
    site.kill()
    site.machine = replace(site.machine, version=version)
    site.start()


def a_cluster(**more: Any) -> tuple[Cluster, NodeSite]:
    cluster = Cluster(policy=replace(POLICY, **more))
    site = cluster.add_node("h1")
    cluster.settle()
    return cluster, site


def test_nothing_new_is_placed_on_a_host_of_another_version_and_both_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster, site = a_cluster()
    old = cluster.create("old")
    cluster.settle()

    with caplog.at_level(logging.WARNING):
        restarted_as(site, OLDER)
        cluster.settle()
    new = cluster.create("new")
    cluster.settle()

    why = cluster.calls().call("why", WhyForm, instance_id=new)
    assert host(cluster).state is HostState.VERSION_MISMATCH
    assert (cluster.state(old), cluster.running_guests(old)) == (S.RUNNING, ["h1"])
    assert cluster.state(new) is S.PENDING
    assert why.hosts[0].reasons[0].words == (
        f"runs version '{OLDER}', which does not go with '{__version__}'"
    )
    assert (
        f"h1 gets no new instances: its node manager is of version {OLDER}, the cluster manager "
        f"of {__version__}: upgrade the older one, or set allowMismatchedVersions." in caplog.text
    )


def test_an_upgraded_host_takes_instances_again() -> None:
    cluster, site = a_cluster()
    restarted_as(site, OLDER)
    cluster.settle()
    new = cluster.create("new")
    cluster.settle()

    restarted_as(site, __version__)
    cluster.settle()

    assert host(cluster).state is HostState.NORMAL
    assert cluster.running_guests(new) == ["h1"]


def test_a_host_of_another_version_is_a_host_like_others_where_that_is_allowed() -> None:
    cluster, site = a_cluster(allow_mismatched_versions=True)
    restarted_as(site, OLDER)
    cluster.settle()
    new = cluster.create("new")
    cluster.settle()

    assert host(cluster).state is HostState.NORMAL
    assert cluster.running_guests(new) == ["h1"]


def test_a_host_of_another_version_cannot_be_declared_normal() -> None:
    cluster, site = a_cluster()
    restarted_as(site, OLDER)
    cluster.settle()

    with pytest.raises(HostStateError, match=f"of version {OLDER}, the cluster manager of"):
        admin(cluster).call(
            "setHostState", HostForm, host_id=host(cluster).id, state=HostState.NORMAL
        )


def test_a_host_of_another_version_can_be_emptied_upgraded_and_opened() -> None:
    cluster, site = a_cluster()
    web = cluster.create("web")
    cluster.settle()
    restarted_as(site, OLDER)
    cluster.add_node("h2")
    cluster.settle()

    act(cluster, "drainHost")
    cluster.settle()
    drained = host(cluster).state
    reopened = act(cluster, "undrainHost").state
    restarted_as(site, __version__)
    cluster.settle()

    assert cluster.running_guests(web) == ["h2"]
    assert drained is HostState.DRAINED
    assert reopened is HostState.VERSION_MISMATCH
    assert host(cluster).state is HostState.NORMAL


@pytest.mark.parametrize("allowed", [False, True])
def test_a_node_of_another_major_version_is_refused_and_both_sides_say_so(
    caplog: pytest.LogCaptureFixture, allowed: bool
) -> None:
    cluster, site = a_cluster(allow_mismatched_versions=allowed)
    doorman = Doorman(cluster.desk, Unwatched())
    link = DirectLink(lambda request, _: doorman.answer(request, Peer("10.0.0.11", 40123)))
    calls = replace(to_cluster_manager(link, Caller(Role.NODE)), version=Version(9, 0))

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(VersionMismatch) as told:
                RemoteRegistrar(calls).register(site.machine, register=True)

    sentence = str(told.value)
    assert "speaks version 1." in sentence
    assert "the caller version 9.0: upgrade the older one." in sentence
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [f"A caller at 10.0.0.11:40123 was refused: {sentence}"]
