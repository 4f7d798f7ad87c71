"""Users from a directory, and everything else in whichever store is wanted below."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from system.sites import write
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.sql.store import SqlStore
from tashi.programs.directories import GETENT, LDAP
from tashi.programs.implementations import chosen_store, keeps_config_records, succession_of
from tashi.settings.load import load
from tashi.settings.search import Program

DATA = "tashi.clustermanager.data."
FILE = {"Pickled": {"file": "/nowhere/cm.dat"}}
SQLITE = {"SQL": {"uri": "sqlite:////nowhere/books"}}
MARIADB = {"SQL": {"uri": "mysql://tashi@db/books"}}


@pytest.mark.parametrize(
    ("base", "where", "wanted"),
    [
        ("Pickled", FILE, (FlatFile, False, False)),
        ("FromConfig", FILE, (FlatFile, False, True)),
        ("SQL", SQLITE, (SqlStore, False, False)),
        ("SQL", MARIADB, (SqlStore, True, False)),
    ],
    ids=["flat file", "configuration", "SQLite", "MariaDB"],
)
@pytest.mark.parametrize(
    ("data", "section"),
    [("", ""), (GETENT, "GetentOverride"), (LDAP, "LdapOverride")],
    ids=["none", "getent", "LDAP"],
)
def test_a_directory_stands_before_any_store(
    tmp_path: Path,
    data: str,
    section: str,
    base: str,
    where: Mapping[str, Mapping[str, object]],
    wanted: tuple[type[object], bool, bool],
) -> None:
    """Which store it is, whether several cluster managers share it, and what [FromConfig] adds."""
    chosen = {"ClusterManager": {"data": data or DATA + base}}
    below = {section: {"baseData": DATA + base}} if section else {}
    write(tmp_path / "Tashi.cfg", {**chosen, **below, **where})
    settings = load(Program.CLUSTER_MANAGER, {"TASHI_CONFIG_DIRS": str(tmp_path)})

    store = chosen_store(settings, lambda _: None)

    is_shared = succession_of(settings, store) is not None
    assert (type(store), is_shared, keeps_config_records(settings)) == wanted
