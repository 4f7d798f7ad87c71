"""People show a cluster with authAndEncrypt who they are: by certificate, kernel or password."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from system.books import Place
from system.sites import SIMULATED, Shape, Site
from system.visitors import elsewhere, secret

pytestmark = pytest.mark.system


@pytest.fixture
def site(tmp_path: Path, books: Place) -> Iterator[Site]:
    extra = {
        "Security": {
            "localSocket": tmp_path / "run/cm.sock",
            "passwordTable": tmp_path / "passwords",
        }
    }
    site = Site(tmp_path, Shape(vmm=SIMULATED, secure=True, books=books, extra=extra))
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def test_on_the_machine_itself_root_needs_nothing_but_the_socket_also_after_a_crash(
    site: Site, tmp_path: Path
) -> None:
    nobodys_home = str(tmp_path / "nobody")
    done = site.run("admin", "addUser", "--id", "5000", "--name", "ada", HOME=nobodys_home)
    assert done.returncode == 0, done.stderr + site.story()
    assert "user 0 (root), known by the kernel, from uid 0: addUser user=5000" in (
        site.manager.log.read_text()
    )

    site.manager.kill()
    left = (site.folder / "run/cm.sock").is_socket()
    site.manager.start()
    site.until(lambda now: now.hosts[0].up)
    again = site.run("client", "getHosts", HOME=nobodys_home)
    ended = site.manager.stop()

    assert left
    assert again.returncode == 0, again.stderr + site.story()
    assert ended == 0
    assert not (site.folder / "run/cm.sock").exists()


def test_somebody_with_a_password_is_who_they_say_and_may_what_is_theirs(
    site: Site, tmp_path: Path
) -> None:
    nobodys_home = str(tmp_path / "nobody")
    site.add_image("idle.img")
    for words in (
        ("addUser", "--id", "5000", "--name", "ada"),
        ("setPassword", "--user", "ada", "--file", str(secret(tmp_path / "new", "open sesame"))),
    ):
        done = site.run("admin", *words, HOME=nobodys_home)
        assert done.returncode == 0, done.stderr + site.story()
    ada = elsewhere(site, tmp_path / "a", username="ada", passwordFile=tmp_path / "new")
    eve = elsewhere(
        site, tmp_path / "e", username="ada", passwordFile=secret(tmp_path / "guess", "sesame open")
    )

    made = site.run("client", "createVm", "--name", "web", "--disks", "idle.img", **ada)
    (tmp_path / "new").unlink()  # the ticket that is kept does
    mine = site.run("client", "getMyInstances", **ada)
    refused = site.run("admin", "addHost", "--host", "rack9", **ada)
    guessed = site.run("client", "getHosts", **eve)

    assert made.returncode == 0, made.stderr + site.story()
    assert "web" in mine.stdout, mine.stderr + site.story()
    assert refused.stderr == (
        "tashi-admin: addHost is for administrators; you are user 5000 (ada).\n"
    )
    assert guessed.stderr == "tashi-client: The name or the password is not right.\n"
    log = site.manager.log.read_text()
    assert "logIn name='ada': ok" in log
    assert "logIn name='ada': NotLoggedIn" in log
    assert "user 5000 (ada), known by a password, from 127.0.0.1:" in log
    assert "sesame" not in log
