"""Flat files of every schema there ever was are still read.

`schema_<n>.dat` is a file as a Tashi of that schema left it. They are never changed: a form that
no longer reads one of them needs a row in `tashi.adapters.store.lines.UPGRADES`, and a new file.
"""

import shutil
from pathlib import Path

import pytest

from adapters_store.journals import contents
from contracts.commits import a_commit, after, an_instance, held
from tashi.adapters.store import lines
from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import HostId, NetworkId, UserId
from tashi.domain.journal import Drop, Kind, Put

HERE = Path(__file__).parent
HISTORY = [
    a_commit(1, Put(Network(NetworkId(1), "default")), Put(User(UserId(1000), "ann"))),
    a_commit(2, Put(Host(id=HostId(1), name="node1", up=True)), first=3),
    a_commit(3, Put(an_instance(1, "web")), Put(an_instance(2, "db")), first=4, forget=3),
    a_commit(4, Drop(Kind.INSTANCE, 1), first=6),
]


@pytest.mark.parametrize("schema", range(1, lines.SCHEMA + 1))
def test_a_file_of_every_schema_is_read_and_written_in_the_present_one(
    tmp_path: Path, schema: int
) -> None:
    path = tmp_path / "cm.dat"
    shutil.copyfile(HERE / f"schema_{schema}.dat", path)
    path.chmod(0o600)

    kept = contents(path)

    assert held(kept) == after(HISTORY)
    first, *_ = path.read_bytes().splitlines(keepends=True)
    assert lines.schema_of(lines.unsealed(first)) == lines.SCHEMA
