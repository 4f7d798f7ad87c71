"""Passwords of Tashi's own are whoever leads next's as well, and stand in no other table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Server
from system.shared_books import DATABASE, SharedSite
from system.sites import SIMULATED, Shape
from system.visitors import elsewhere, secret

pytestmark = pytest.mark.system


@pytest.fixture
def site(short_path: Path, mariadb: Server) -> Iterator[SharedSite]:
    site = SharedSite(short_path, Shape(vmm=SIMULATED, hosts=0, secure=True), mariadb)
    try:
        yield site
    finally:
        left = site.end()
    assert not left


def tell(site: SharedSite, *words: str) -> None:
    """Have the leader do what an administrator says."""
    done = site.run("admin", *words)
    assert done.returncode == 0, done.stderr + site.story()


def test_a_password_that_was_changed_is_changed_for_who_leads_next_as_well(
    site: SharedSite, mariadb: Server, tmp_path: Path
) -> None:
    leader, standby = site.managers
    leader.daemon.start()
    site.leads(leader)
    standby.daemon.start()
    site.stands_by(standby)
    old, new = (secret(tmp_path / word, f"open {word}") for word in ("sesame", "barley"))
    tell(site, "addUser", "--id", "5000", "--name", "ada")
    tell(site, "addUser", "--id", "5001", "--name", "bob")
    for name, file in (("ada", old), ("ada", new), ("bob", old)):
        tell(site, "setPassword", "--user", name, "--file", str(file))
    tell(site, "delUser", "--user", "bob")

    leader.daemon.kill()
    site.leads(standby)

    told = [
        site.run("client", "getHosts", **elsewhere(site, tmp_path / who, **access)).stderr
        for who, access in {
            "right": {"username": "ada", "passwordFile": new},
            "wrong": {"username": "ada", "passwordFile": old},
            "gone": {"username": "bob", "passwordFile": old},
        }.items()
    ]
    refused = "tashi-client: The name or the password is not right.\n"
    assert told == ["", refused, refused], site.story()
    for (table,) in mariadb.do(f"SHOW TABLES IN {DATABASE}"):
        rows = str(mariadb.do(f"SELECT * FROM {DATABASE}.{table}"))
        assert ('"hash"' in rows) == (table == "passwords")
