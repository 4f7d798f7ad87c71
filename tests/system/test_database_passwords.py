"""A database that wants a password, and the ways in which a cluster manager is given one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from databases import Server
from ports import free_port
from system.books import SQL, Books
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.store.sql.address import MYSQL, Address
from tashi.adapters.store.sql.store import SqlStore

PASSWORD: Final = "g%h# ;'\"=söß"
OTHER: Final = "another secret"
IN_URI: Final = "g%25h%23%20%3B%27%22%3Ds%C3%B6%C3%9F"
WRONG: Final = "the name or the password is wrong: see uri and password in [SQL]"


@dataclass(frozen=True, slots=True)
class Closed:
    """A MariaDB on a port, which lets nobody in without a password."""

    server: Server
    port: int

    def database(self, password: str = PASSWORD) -> str:
        """A fresh database, of which that is the only user's password; the name of both."""
        name = f"site_{uuid4().hex[:12]}"
        account = f"'{name}'@'127.0.0.1'"
        self.server.do(
            f"CREATE DATABASE {name}",
            f"CREATE USER {account} IDENTIFIED BY '{password.replace(chr(39), chr(39) * 2)}'",
            f"GRANT ALL ON {name}.* TO {account}",
        )
        return name

    def uri(self, name: str, password: str = "") -> str:
        """How that database is named, with a password in it or none."""
        return f"mysql://{name}{':' * bool(password)}{password}@127.0.0.1:{self.port}/{name}"

    def address(self, name: str, timeout: float = 5.0) -> Address:
        """Where that database is, with its password."""
        return Address(
            kind=MYSQL,
            user=name,
            password=PASSWORD,
            host="127.0.0.1",
            port=self.port,
            database=name,
            timeout=timeout,
        )


@pytest.fixture(scope="module")
def closed(mariadb_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    server, port = Server(tmp_path_factory.mktemp("p")), free_port()
    server.install(mariadb_template)
    listening = ("--skip-networking=0", "--bind-address=127.0.0.1", f"--port={port}")
    server.start((), *listening, "--skip-name-resolve")
    yield Closed(server, port)
    server.stop()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to give a password: in [SQL], in a file, in the environment."""

    sql: Mapping[str, str]
    in_uri: str = ""
    file: str = ""
    variables: tuple[str, ...] = ()


RIGHT: Final = {
    "in the configuration": Way({"password": PASSWORD}),
    "in a file": Way({}, file=f"{PASSWORD}\nmore\n"),
    "in the environment": Way({}, variables=(f"TASHI_SQL_PASSWORD={PASSWORD}",)),
    "in the uri": Way({}, in_uri=IN_URI),
    "the environment first": Way(
        {"password": OTHER}, OTHER, OTHER, (f"TASHI_SQL_PASSWORD={PASSWORD}",)
    ),
    "then the configuration": Way({"password": PASSWORD}, OTHER.replace(" ", "%20"), OTHER),
    "then the file": Way({}, OTHER.replace(" ", "%20"), PASSWORD),
}
NOT: Final = {
    "none": Way({}),
    "another": Way({"password": OTHER}),
    "another in the environment": Way({"password": PASSWORD}, "", "", ("TASHI_SQL_PASSWORD=no",)),
}


@contextmanager
def started(folder: Path, closed: Closed, way: Way) -> Iterator[tuple[Site, str]]:
    """A site whose cluster manager was started with a password in that way, and its database."""
    name = closed.database()
    sql: dict[str, object] = {"uri": closed.uri(name, way.in_uri), **way.sql}
    if way.file:
        secret = folder / "secret"
        secret.touch(0o600)
        secret.write_text(way.file)
        sql["passwordFile"] = secret

    def books(_folder: Path) -> Books:
        return Books(SQL, {"SQL": sql}, (), lambda: SqlStore(closed.address(name)), lambda: None)

    site = Site(folder / "site", Shape(vmm=SIMULATED, books=books))
    try:
        site.manager.start(under=("env", *way.variables))
        yield site, name
    finally:
        left = site.end()
    assert not left


@pytest.mark.parametrize("way", RIGHT.values(), ids=RIGHT)
def test_a_cluster_manager_is_let_in_with_its_password(
    short_path: Path, closed: Closed, way: Way
) -> None:
    with started(short_path, closed, way) as (site, name):
        site.until(lambda _: True)
        added = site.run("admin", "addHost", "--host", "rack1")
        said = site.manager.log.read_text()

    assert added.returncode == 0, added.stderr + said
    assert closed.server.do(f"SELECT name FROM {name}.hosts") == [("rack1",)]
    assert PASSWORD not in said
    assert IN_URI not in said


@pytest.mark.parametrize("way", NOT.values(), ids=NOT)
def test_without_it_the_cluster_manager_says_so_in_a_sentence_and_ends(
    short_path: Path, closed: Closed, way: Way
) -> None:
    with started(short_path, closed, way) as (site, name):
        code = site.manager.ended()
        said = site.manager.log.read_text()

    where = f"database {name} on 127.0.0.1:{closed.port}"
    assert said.endswith(f"clustermanager: The books' {where} cannot be used: {WRONG}.\n")
    assert "Traceback" not in said
    assert code == 2


@pytest.mark.parametrize("password", [OTHER, ""], ids=["another", "the same"])
def test_books_move_between_databases_that_have_passwords(
    short_path: Path, closed: Closed, password: str
) -> None:
    there = closed.database(password or PASSWORD)
    to = closed.uri(there, password.replace(" ", "%20"))
    with started(short_path, closed, Way({"password": PASSWORD})) as (site, name):
        site.until(lambda _: True)
        site.run("admin", "addHost", "--host", "rack1")
        site.manager.stop()
        moved = site.run("admin", "copyState", "--from", closed.uri(name), "--to", to)
        back = site.run("admin", "copyState", "--from", to, "--to", f"sqlite:///{short_path}/books")

    assert moved.returncode == 0, moved.stderr
    assert back.returncode == 0, back.stderr
    assert closed.server.do(f"SELECT name FROM {there}.hosts") == [("rack1",)]
    assert OTHER not in moved.stdout
