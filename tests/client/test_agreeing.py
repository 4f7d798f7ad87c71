"""The books held against the site's servers from the command line: what is shown, and the end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from fakes.clients import Ended, Shell, admin_front
from fakes.clusters import FakeClusterManager
from tashi.client import agreeing
from tashi.client.terminal import Note
from tashi.domain.differences import DHCP, DNS, Difference, Findings, Flaw
from tashi.domain.errors import ServerAway, TashiError
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry

WEB = SiteEntry(InstanceId(3), "web", "10.0.0.3", "52:54:00:00:00:03")
OLD = SiteEntry(InstanceId(2), "old", "10.0.0.2", "52:54:00:00:00:02")
LACKS = Difference(DNS, WEB, Flaw.MISSING, "DNS says that web.example has no address")
TAKEN = Difference(DHCP, WEB, Flaw.TAKEN, "DHCP has a host web with another card")
LEFT = Difference(DNS, OLD, Flaw.LEFT_OVER, "DNS has old: it is booked for nobody\x1b[2J")


@dataclass
class FakeInspection:
    """Finds what it is told to, one look after the other."""

    looks: list[tuple[Difference, ...] | TashiError]
    unlisted: tuple[str, ...] = ()
    mended: list[Difference] = field(default_factory=list)

    def look(self, asks: Note) -> Findings:
        asks("web", 0)
        found = self.looks.pop(0)
        if isinstance(found, TashiError):
            raise found
        return Findings(7, found, self.unlisted)

    def mend(self, found: Sequence[Difference]) -> None:
        self.mended += found


def check(inspection: FakeInspection, *words: str, width: int | None = None) -> Ended:
    front = admin_front(rooms=agreeing.commands(lambda calls: inspection))
    return Shell(FakeClusterManager(), front, uid=0, width=width).type("checkDhcpDns", *words)


def test_where_all_agree_it_says_on_how_much() -> None:
    ended = check(FakeInspection([()]))

    assert ended == Ended(0, "All agree on 7 names and addresses.\n", "")


def test_differences_are_a_line_each_and_end_as_a_refusal() -> None:
    inspection = FakeInspection([(LACKS, LEFT)], unlisted=(DHCP,))

    ended = check(inspection)

    assert ended.code == 1
    assert ended.out == (
        "where  name  ip        flaw       words\n"
        "DNS    web   10.0.0.3  missing    DNS says that web.example has no address\n"
        "DNS    old   10.0.0.2  left over  DNS has old: it is booked for nobody\ufffd[2J\n"
    )
    assert "DHCP does not list what it has" in ended.err
    assert "2 differences are left. --repair enters what is missing" in ended.err
    assert not inspection.mended


def test_a_repair_says_what_was_mended() -> None:
    inspection = FakeInspection([(LACKS, LEFT), ()])

    ended = check(inspection, "--repair")

    assert (ended.code, ended.err) == (0, "")
    assert "  missing, mended    DNS says" in ended.out
    assert "  left over, mended  DNS has" in ended.out
    assert inspection.mended == [LACKS, LEFT]


def test_what_cannot_be_mended_is_still_a_difference_for_scripts_too() -> None:
    ended = check(FakeInspection([(LACKS, TAKEN), (TAKEN,)]), "--repair", "--output", "json")

    rows = json.loads(ended.out)
    assert ended.code == 1
    assert [(row["where"], row["flaw"], row["mended"]) for row in rows] == [
        ("DNS", "missing", True),
        ("DHCP", "taken", False),
    ]
    assert rows[0] | {"words": ""} == {
        "where": "DNS",
        "instanceId": 3,
        "name": "web",
        "ip": "10.0.0.3",
        "mac": "52:54:00:00:00:03",
        "flaw": "missing",
        "words": "",
        "mended": True,
    }
    assert json.loads(ended.err)["error"]["msg"].startswith("1 difference is left.")


def test_scripts_hear_of_a_server_that_lists_nothing() -> None:
    ended = check(FakeInspection([()], unlisted=(DHCP,)), "--output", "json")

    assert (ended.code, json.loads(ended.out)) == (0, [])
    assert json.loads(ended.err)["warning"].startswith("DHCP does not list what it has")


def test_scripts_get_an_empty_list_where_all_agree() -> None:
    ended = check(FakeInspection([()]), "--output", "json")

    assert (ended.code, json.loads(ended.out), ended.err) == (0, [], "")


def test_a_server_that_is_away_is_a_failure() -> None:
    ended = check(FakeInspection([ServerAway("DNS is away.")]), "--repair")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "tashi-admin: DNS is away.\n"


def test_who_looks_on_sees_what_is_asked_about() -> None:
    ended = check(FakeInspection([()]), width=80)

    assert ended.code == 0
    assert "web" in ended.err
