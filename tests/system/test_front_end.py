"""A front-end node: installed clients, and the set-up guide's links, speak to a cluster."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import Office
from system.books import Place
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.pki import authority

SERVERS_ONLY = ("sqlalchemy", "pymysql", "cryptography", "dns", "pyroute2", "qemu", "ldap", "dpkt")


WAYS_OUT = re.compile("PIP_|SSL_CERT_|https?_proxy|no_proxy", re.IGNORECASE)


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    site = Site(short_path, Shape(vmm=SIMULATED, books=books))
    site.start()
    yield site
    assert not site.end()


def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    # Nothing of this environment but the way to the libraries: a site's certificate and proxies.
    kept = {key: value for key, value in os.environ.items() if WAYS_OUT.match(key)}
    kept |= {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "CI": os.environ.get("CI", "")}
    return subprocess.run(
        [*map(str, words)],
        env={**kept, **variables},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_an_installed_client_needs_neither_the_checkout_nor_what_servers_need(
    checkout: Path, tmp_path: Path, site: Site
) -> None:
    where = ("PREFIX=/opt/tashi", f"DESTDIR={tmp_path}/stage")
    cluster = {"TASHI_CONFIG_DIRS": str(site.configuration)}
    installed = run("make", "-C", checkout, "install", *where)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    root = tmp_path / "stage/opt/tashi"
    (tmp_path / "tashi").symlink_to(root / "bin/tashi")

    listed = run(tmp_path / "tashi", "getHosts", **cluster)
    admin = run(root / "bin/tashi-admin", "--version")
    secure = tmp_path / "secure"
    secure.mkdir()
    (secure / "Tashi.cfg").write_text(
        f"[Security]\nauthAndEncrypt = True\npkiDir = {tmp_path}/pki\n"
    )
    own = Office(tmp_path).issued("user", "ada").rename(tmp_path / "own")
    authority.renew(tmp_path / "pki", own, 20, datetime.now(UTC))
    (tmp_path / ".tashi").mkdir()
    own.rename(tmp_path / ".tashi/pki")
    around = {"TASHI_CONFIG_DIRS": str(secure), "HOME": str(tmp_path)}
    checked = run(root / "bin/tashi-admin", "checkConfig", **around)
    library = {entry.name.lower() for entry in (root / "lib/tashi").iterdir()}
    removed = run("make", "-C", checkout, "uninstall", *where)

    assert listed.returncode == 0, listed.stderr
    assert "host1" in listed.stdout
    assert admin.returncode == 0
    assert checked.returncode == 0, checked.stderr
    assert f"The certificate in {tmp_path}/.tashi/pki expires in 20 days" in checked.stdout
    assert not library & set(SERVERS_ONLY)
    assert removed.returncode == 0
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_the_guides_links_make_a_client(checkout: Path, tmp_path: Path, site: Site) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "tashi").symlink_to(checkout / "src/tashi")
    (tmp_path / "etc").symlink_to(site.configuration)
    (tmp_path / "tashi").symlink_to(checkout / "bin/tashi-client.py")
    cluster = {"TASHI_CONFIG_DIRS": str(tmp_path / "etc")}

    linked = run(tmp_path / "tashi", "getHosts", **cluster)
    imported = run(
        sys.executable,
        "-m",
        "tashi.programs.client",
        "getHosts",
        PYTHONPATH=str(packages),
        **cluster,
    )

    assert linked.returncode == 0, linked.stderr
    assert "host1" in linked.stdout
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout == linked.stdout


def test_a_client_loads_nothing_that_only_servers_need(checkout: Path, site: Site) -> None:
    code = (
        "import sys; from tashi.programs.client import main; main(['getInstances']); "
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )

    said = run(
        sys.executable,
        *("-c", code),
        PYTHONPATH=str(checkout / "src"),
        TASHI_CONFIG_DIRS=str(site.configuration),
    )

    assert said.returncode == 0
    assert not [name for name in SERVERS_ONLY if f"'{name}'" in said.stderr]
