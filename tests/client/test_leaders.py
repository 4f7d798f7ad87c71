"""Which cluster manager leads, from the command line."""

import json

from fakes.clients import Shell, admin_front
from fakes.clusters import FakeClusterManager
from fakes.links import DirectLink
from tashi.client import leaders
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.wire import envelope
from tashi.wire.answers import ReignForm
from tashi.wire.codec import encode


def leads(request: bytes, _peer: object) -> bytes:
    read = envelope.read_request(request)
    assert read.call == "getReign"
    return envelope.write_result(read.id, encode(ReignForm(7, 1_700_000_000.0)))


def stands_by(_request: bytes, _peer: object) -> bytes:
    raise NotLeader("This cluster manager stands by: the one at cm1:9882 leads.", sent="no")


def test_every_cluster_manager_is_asked_once_and_shown() -> None:
    away = DirectLink(leads, mishaps=[PeerSilent("cm3:9882 cannot be reached.", sent="no")])
    links = {"cm1:9882": DirectLink(leads), "cm2:9882": DirectLink(stands_by), "cm3:9882": away}
    front = admin_front(rooms=leaders.commands(lambda: links))

    ended = Shell(FakeClusterManager(), front, uid=0).type("getClusterManagers", "--output", "json")

    rows = json.loads(ended.out)
    assert [(row["address"], row["state"], row["epoch"]) for row in rows] == [
        ("cm1:9882", "Leads", 7),
        ("cm2:9882", "StandsBy", None),
        ("cm3:9882", "Silent", None),
    ]
    assert "the one at cm1:9882 leads" in rows[1]["words"]
    assert rows[0]["since"].startswith("2023-11-1")
    assert all(len(link.sent) == 1 for link in links.values())
    assert not any(link.sent[0].repeatable for link in links.values())


def test_people_see_a_line_for_each() -> None:
    front = admin_front(rooms=leaders.commands(lambda: {"cm2:9882": DirectLink(stands_by)}))

    ended = Shell(FakeClusterManager(), front, uid=0).type("getClusterManagers")

    assert ended.out == (
        "address   state     since  words\n"
        "cm2:9882  StandsBy  -      This cluster manager stands by: the one at cm1:9882 leads.\n"
    )
