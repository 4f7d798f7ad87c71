"""The logs of real daemons: for programs to read, saying more when told, and rotated."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, sleep

import pytest

from system.books import Place
from system.sites import PATIENCE_SECONDS, SIMULATED, Daemon, Shape, Site
from tashi.adapters.accounting.reading import FolderReader
from tashi.domain.errors import PeerSilent
from tashi.scheduler.loop import LONGEST_LISTEN_SECONDS
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm

Line = dict[str, object]
CLIENTS = 16


@pytest.fixture
def site(tmp_path: Path, books: Place) -> Iterator[Site]:
    """A cluster whose daemons write JSON into one file each."""
    log = tmp_path / "json.log"
    file = {"class": "handlers.WatchedFileHandler", "formatter": "jsonFormatter"}
    extra: dict[str, dict[str, object]] = {
        "handlers": {"keys": "fileHandler"},
        "logger_root": {"level": "INFO", "handlers": "fileHandler"},
        "handler_fileHandler": {**file, "args": f"({str(log)!r},)"},
    }
    made = Site(tmp_path / "site", Shape(vmm=SIMULATED, books=books, extra=extra))
    yield made
    assert made.end() == []


def lines_of(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def wait_for(log: Path, words: str, pid: int | None = None) -> Line:
    """The first line of anybody, or of that process, whose message has these words."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        for line in lines_of(log):
            if words in str(line["message"]) and pid in {None, line["pid"]}:
                return line
        sleep(0.02)
    raise AssertionError(f"{words!r} was never said.\n{log.read_text()}")


def wait_for_journal(site: Site, line: str) -> None:
    """Wait until the accounting daemon has written that down."""
    reader = FolderReader(site.folder / "accounting")
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        volumes = (reader.lines(volume) for volume in reader.volumes())
        if any(line.encode() in written for volume in volumes for written, _ in volume):
            return
        sleep(0.02)
    raise AssertionError(f"{line!r} was never written down.\n{site.story()}")


def ended(daemon: Daemon) -> int:
    """The exit code of a daemon that is told to end, and does not first hear its call out."""
    os.kill(daemon.pid, signal.SIGTERM)
    return daemon.ended(LONGEST_LISTEN_SECONDS / 2)


def test_each_event_is_one_object_that_names_its_instance_and_hosts(
    site: Site, tmp_path: Path
) -> None:
    site.add_image("empty.qcow2")
    site.start()

    made = site.run("client", "createVm", "--name", "web", "--disks", "empty.qcow2", "--wait")

    assert made.returncode == 0, made.stderr
    line = wait_for(tmp_path / "json.log", "CM VM ACTIVATE")
    named = {key: line[key] for key in ("instance", "instanceId", "hosts", "state", "level")}
    assert named == {
        "instance": "web",
        "instanceId": 1,
        "hosts": ["host1"],
        "state": "Activating",
        "level": "INFO",
    }


def test_whatever_was_acknowledged_has_its_line_however_the_manager_ends(
    site: Site, tmp_path: Path
) -> None:
    acknowledged: SimpleQueue[int] = SimpleQueue()

    def create(client: int) -> None:
        with site.another_link() as link, suppress(PeerSilent):
            for number in count():
                wanted = NewInstanceForm(f"w{client}-{number}", (DiskForm("empty.qcow2"),))
                calls = site.calls_of(link)
                acknowledged.put(calls.call("createVm", InstanceForm, instance=wanted).id)

    site.add_image("empty.qcow2")
    site.manager.start()
    site.now()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for client in range(CLIENTS):
            clients.submit(create, client)
        some = {acknowledged.get(timeout=PATIENCE_SECONDS) for _ in range(20 * CLIENTS)}
        site.manager.kill()
    some |= {acknowledged.get() for _ in range(acknowledged.qsize())}

    lines = lines_of(tmp_path / "json.log")
    audited = {line["instance"] for line in lines if line["logger"] == "tashi.audit"}
    assert some <= audited


def test_no_answer_overtakes_its_line(site: Site, tmp_path: Path) -> None:
    lingers = tmp_path / "lingers"
    site.add_image("empty.qcow2")
    site.manager.start(("-m", "system.lingering_manager", str(lingers)))
    site.now()

    lingers.touch()
    wanted = NewInstanceForm("web", (DiskForm("empty.qcow2"),))
    made = site.calls.call("createVm", InstanceForm, instance=wanted).id
    lines = lines_of(tmp_path / "json.log")
    lingers.unlink()

    assert made in {line.get("instance") for line in lines if line["logger"] == "tashi.audit"}


def test_sigusr1_to_nmd_makes_its_daemon_say_everything_and_again_less(
    site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "json.log"
    daemon = ("-m", "tashi.programs.clustermanager")
    nmd = ("-m", "tashi.programs.nmd", "-f", "--pid-file", str(tmp_path / "pid"))
    program = tmp_path / "clustermanager"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {' '.join(daemon)}\n")
    program.chmod(0o700)
    keeper = Daemon("nmd", (*nmd, str(program)), tmp_path / "nmd.log", site.configuration)
    keeper.start()
    wait_for(log, "is running")  # only then does it heed signals

    os.kill(keeper.pid, signal.SIGUSR1)
    wait_for(log, "The log says everything")
    site.now()
    called = wait_for(log, "getSnapshot from 127.0.0.1")
    os.kill(keeper.pid, signal.SIGUSR1)
    wait_for(log, "what its configuration asks for")
    site.now()
    code = keeper.stop()

    assert (called["level"], code) == ("DEBUG", 0)
    assert sum("getSnapshot from" in str(line["message"]) for line in lines_of(log)) == 1


def test_sigusr1_disturbs_no_daemon_at_its_work_and_sigterm_ends_each(
    site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "json.log"
    site.add_image("empty.qcow2")
    site.start()
    site.accounting.start()
    daemons = (site.accounting, *site.nodes, site.scheduler, site.manager)
    wait_for(log, "is running", site.accounting.pid)
    for daemon in daemons:
        os.kill(daemon.pid, signal.SIGUSR1)
        wait_for(log, "The log says everything", daemon.pid)

    made = site.run("client", "createVm", "--name", "web", "--disks", "empty.qcow2", "--wait")
    wait_for_journal(site, "CM VM ACTIVATE")
    for daemon in daemons:
        os.kill(daemon.pid, signal.SIGUSR1)
        wait_for(log, "what its configuration asks for", daemon.pid)
    site.empty()
    wait_for_journal(site, "CM VM DESTROY")
    codes = [ended(daemon) for daemon in daemons]

    assert made.returncode == 0, made.stderr
    assert codes == [0] * len(daemons)


def test_a_log_file_that_is_moved_away_is_made_anew(site: Site, tmp_path: Path) -> None:
    log = tmp_path / "json.log"
    site.start()
    log.rename(tmp_path / "json.log.1")

    site.run("client", "createVm", "--name", "web", "--disks", "none.qcow2")
    done = site.run("admin", "setHostNotes", "--host", "host1", "--notes", "rotated")

    assert done.returncode == 0, done.stderr
    assert wait_for(log, "host1")["hostId"] == 1
