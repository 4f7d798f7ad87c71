"""Images with real daemons: brought in, cloned, booted, deleted; and whoever dies on the way."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import pytest

import boot_sectors
from disk_images import MIB, left_in
from system.books import Place
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import SIMULATED, Daemon, Shape, Site, environment
from tashi.domain.errors import ImagesFailed, Refused
from tashi.domain.jobs import JobState
from tashi.domain.states import InstanceState
from tashi.wire.calls import Calls
from tashi.wire.forms import ConsoleForm, DiskForm, InstanceForm, NewInstanceForm
from tashi.wire.images import ImageForm, ImportForm, JobForm

SECONDS = 60.0
WORDS = "I came from a clone."


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds that nobody tells."""
    deadline = monotonic() + SECONDS
    while not holds():
        assert monotonic() < deadline, f"{what} did not come in {SECONDS:g} s."
        sleep(0.002)


def parts(folder: Path) -> list[Path]:
    """What is half made."""
    return list(folder.rglob(".*.part"))


def images(site: Site) -> dict[str, ImageForm]:
    """Every image, by name."""
    return {one.name: one for one in site.calls.call("getImages", tuple[ImageForm, ...])}


def begin_client(site: Site, *words: str | Path) -> "subprocess.Popen[str]":
    """Start a client and leave it to itself."""
    return subprocess.Popen(
        [sys.executable, "-m", "tashi.programs.client", *map(str, words)],
        env=environment(site.configuration),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- a whole life --------------------------------------------------------------------------------


@pytest.fixture
def real_site(one_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if one_shared is not None:
        with one_shared.taken() as shared:
            yield shared
        return
    site = Site(short_path, Shape(books=books))
    site.start()
    yield site
    site.end()


@EITHER
@pytest.mark.qemu
def test_an_image_is_brought_in_cloned_booted_and_deleted(real_site: Site, tmp_path: Path) -> None:
    site = real_site
    disk = tmp_path / "speaker.raw"
    boot_sectors.speak(disk, WORDS)

    brought = site.run("client", "importImage", "--file", str(disk), "--name", "base/speaker.raw")
    cloned = site.run("client", "cloneImage", "--src", "base/speaker.raw", "--dst", "clone.qcow2")
    created = site.run("client", "createVm", "--name", "web", "--disks", "clone.qcow2", "--wait")
    (web,) = site.instances()
    until(lambda: WORDS in console(site, web), "The guest's word")
    listed = images(site)
    refused = [
        site.run("client", "deleteImage", "--image", name)
        for name in ("clone.qcow2", "base/speaker.raw")
    ]
    destroyed = site.run("client", "destroyVm", "--instance", "web", "--wait")
    deleted = [
        site.run("client", "deleteImage", "--image", name)
        for name in ("clone.qcow2", "base/speaker.raw")
    ]
    exported = site.run("client", "exportImage", "--image", "gone", "--file", str(tmp_path / "x"))

    assert [one.returncode for one in (brought, cloned, created, destroyed)] == [0, 0, 0, 0]
    assert brought.stdout == "Importing base/speaker.raw is done.\n"
    assert listed["clone.qcow2"].backing == "base/speaker.raw"
    assert listed["clone.qcow2"].used_by == (web,)
    assert listed["base/speaker.raw"].backs == ("clone.qcow2",)
    assert [one.returncode for one in refused] == [1, 1]
    assert "it is a disk of instance" in refused[0].stderr
    assert "clone.qcow2 is based on it" in refused[1].stderr
    assert [one.returncode for one in deleted] == [0, 0]
    assert not images(site).keys() & {"clone.qcow2", "base/speaker.raw"}
    assert exported.returncode == 1


def console(site: Site, instance: int) -> str:
    """What the guest has said."""
    return site.calls.call("getConsole", ConsoleForm, instance_id=instance, offset=0).text


# ---- at once -------------------------------------------------------------------------------------

ROUNDS = 100


@pytest.mark.every_store
def test_an_instance_and_the_deletion_of_its_image_never_both_succeed(site: Site) -> None:
    site.add_image("base.qcow2")
    outcomes = Counter(create_and_delete(site, f"i{number}") for number in range(ROUNDS))
    there = images(site)

    assert (True, True) not in outcomes
    assert sum(outcomes.values()) == ROUNDS
    for instance in site.instances().values():
        assert instance.disks[0].uri in there


def create_and_delete(site: Site, name: str) -> tuple[bool, bool]:
    """Whether an instance was created of an image, and whether the image was deleted, at once."""
    image = f"{name}.qcow2"
    done(site.calls, site.calls.call("copyImage", JobForm, src="base.qcow2", dst=image))
    wanted = NewInstanceForm(name, (DiskForm(image),), memory=1)

    def create(calls: Calls) -> bool:
        calls.call("createVm", InstanceForm, instance=wanted)
        return True

    def delete(calls: Calls) -> bool:
        return done(calls, calls.call("deleteImage", JobForm, name=image))

    with ThreadPoolExecutor(2) as hands, site.another_link() as one, site.another_link() as other:
        both = [
            hands.submit(accepted, act, site.calls_of(link))
            for act, link in ((create, one), (delete, other))
        ]
        return both[0].result(), both[1].result()


def accepted(act: Callable[[Calls], bool], calls: Calls) -> bool:
    """Whether it was done and not refused."""
    try:
        return act(calls)
    except (Refused, ImagesFailed):
        return False


def done(calls: Calls, job: JobForm) -> bool:
    """Wait for a job; whether it was done."""
    while job.state in {JobState.WAITING, JobState.RUNNING}:
        job = calls.call("getJob", JobForm, job_id=job.id, seen=job.change, timeout=10.0)
    return job.state is JobState.DONE


# ---- the cluster manager dies --------------------------------------------------------------------


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    site = Site(short_path, Shape(vmm=SIMULATED, books=books))
    try:
        site.manager.start()
        site.until(lambda _: True)  # it answers
        yield site
    finally:
        left = site.end()
    assert not left


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.raw"
    with path.open("wb") as file:
        for number in range(256):
            file.write(bytes([number]) * MIB)
    return path


def test_an_import_is_the_same_in_the_end_and_out_again(site: Site, tmp_path: Path) -> None:
    disk, out = tmp_path / "a.raw", tmp_path / "out.raw"
    disk.write_bytes(os.urandom(3 * MIB) + bytes(2 * MIB) + os.urandom(512))

    brought = site.run("client", "importImage", "--file", str(disk), "--output", "json")
    taken = site.run("client", "exportImage", "--image", "a.raw", "--file", str(out))

    assert (brought.returncode, brought.stderr, taken.returncode) == (0, "", 0)
    assert '"state": "done"' in brought.stdout
    assert hashlib.sha256(disk.read_bytes()).hexdigest() in taken.stdout
    assert out.read_bytes() == (site.images / "a.raw").read_bytes() == disk.read_bytes()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_import_is_taken_up_where_it_was(site: Site, large: Path) -> None:
    client = begin_client(site, "importImage", "--file", large)
    until(lambda: any(one.stat().st_size > 8 * MIB for one in parts(site.images)), "The beginning")
    client.send_signal(signal.SIGINT)
    _, said = client.communicate(timeout=SECONDS)
    to = site.calls.call("beginImport", ImportForm, name="large.raw", size=256 * MIB)

    again = site.run("client", "importImage", "--file", str(large))

    assert client.returncode == 130
    assert "kept for ten minutes" in said
    assert to.next > 16
    assert again.returncode == 0
    assert (site.images / "large.raw").read_bytes() == large.read_bytes()
    assert parts(site.images) == []


def test_a_cluster_manager_that_dies_midway_of_an_import_leaves_the_store_clean(
    site: Site, large: Path
) -> None:
    client = begin_client(site, "importImage", "--file", large)
    until(lambda: any(one.stat().st_size > MIB for one in parts(site.images)), "The beginning")
    site.manager.kill()
    left = parts(site.images)

    site.manager.start()
    _, said = client.communicate(timeout=SECONDS)
    until(lambda: parts(site.images) == [], "The sweep")
    again = site.run("client", "importImage", "--file", str(large))

    assert len(left) == 1
    assert client.returncode == 3
    assert re.fullmatch(
        r"tashi-client: The import of large\.raw is lost, .* Give the same command again\.\n", said
    )
    assert again.returncode == 0
    assert list(images(site)) == ["large.raw"]


def test_a_cluster_manager_that_dies_midway_of_a_copy_leaves_the_store_clean(
    site: Site, large: Path
) -> None:
    """A client that had no answer yet asks the next cluster manager, which makes the copy anew."""
    large.rename(site.images / "large.raw")
    client = begin_client(site, "copyImage", "--src", "large.raw", "--dst", "teams/copy.raw")
    until(lambda: parts(site.images) != [], "The beginning")
    site.manager.kill()
    was_there = (site.images / "teams/copy.raw").exists()

    site.manager.start()
    _, said = client.communicate(timeout=SECONDS)
    until(lambda: parts(site.images) == [], "The sweep")
    again = site.run("client", "copyImage", "--src", "large.raw", "--dst", "teams/copy.raw")

    assert not was_there
    assert (client.returncode, said.count("\n"), again.returncode) in {(3, 1, 0), (0, 0, 1)}
    assert ("started anew" in said) == (client.returncode == 3)
    assert (site.images / "teams/copy.raw").stat().st_size == 256 * MIB


def test_a_copy_is_cancelled_while_it_runs(site: Site, large: Path) -> None:
    large.rename(site.images / "large.raw")
    client = begin_client(site, "copyImage", "--src", "large.raw", "--dst", "copy.raw")
    until(lambda: parts(site.images) != [], "The beginning")
    (job,) = site.calls.call("getJobs", tuple[JobForm, ...])

    cancelled = site.run("client", "cancelJob", "--job", str(job.id))
    _, said = client.communicate(timeout=SECONDS)
    (ended,) = site.calls.call("getJobs", tuple[JobForm, ...])

    assert cancelled.returncode == 0
    assert ended.state in {JobState.CANCELLED, JobState.DONE}
    assert (client.returncode == 3) == (ended.state is JobState.CANCELLED)
    assert said in {"", "tashi-client: It was cancelled.\n"}
    assert parts(site.images) == []
    assert (site.images / "copy.raw").exists() == (ended.state is JobState.DONE)


def test_a_cluster_manager_that_is_told_to_end_midway_of_a_copy_leaves_nothing(
    site: Site, large: Path
) -> None:
    large.rename(site.images / "large.raw")
    client = begin_client(site, "copyImage", "--src", "large.raw", "--dst", "copy.raw")
    until(lambda: parts(site.images) != [], "The beginning")

    code = site.manager.stop()
    left = parts(site.images)
    client.kill()
    client.communicate()

    assert (code, left) == (0, [])


# ---- a full store --------------------------------------------------------------------------------


def on_a_small_disk(daemon: Daemon, folder: Path) -> None:
    """Start it where a small disk of its own is mounted on that folder."""
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    mount = f'mount -t tmpfs -o size=8m none {folder} && exec "$0" "$@"'
    daemon.start(under=("unshare", *as_root, "--mount", "sh", "-c", mount))


def test_a_full_store_refuses_in_a_sentence_and_stays_clean(
    short_path: Path, tmp_path: Path, books: Place
) -> None:
    site = Site(short_path, Shape(vmm=SIMULATED, books=books))
    on_a_small_disk(site.manager, site.images)
    site.until(lambda _: True)
    store = Path(f"/proc/{site.manager.pid}/root{site.images}")
    disk, bigger = tmp_path / "a.raw", tmp_path / "b.raw"
    disk.write_bytes(os.urandom(5 * MIB))
    bigger.write_bytes(bytes(9 * MIB))

    too_big = site.run("client", "importImage", "--file", str(bigger))
    brought = site.run("client", "importImage", "--file", str(disk))
    copied = site.run("client", "copyImage", "--src", "a.raw", "--dst", "copy.raw")
    flattened = site.run("client", "rebaseImage", "--src", "a.raw", "--dst", "flat.qcow2")
    to = site.calls.call("beginImport", ImportForm, name="c.raw", size=2 * MIB)
    (store / "filler").write_bytes(bytes(5 * MIB // 2))
    with pytest.raises(ImagesFailed, match="no room left"):
        send_all(site, to)
    left = left_in(store)
    (store / "filler").unlink()
    cloned = site.run("client", "cloneImage", "--src", "a.raw", "--dst", "clone.qcow2")
    ended = site.end()

    assert [one.returncode for one in (too_big, brought, copied, flattened)] == [3, 0, 3, 3]
    assert "it takes 9.0 MiB, and 8.0 MiB are free" in too_big.stderr
    assert "it takes 5.0 MiB, and 3.0 MiB are free" in copied.stderr
    assert "There is no room left in the image store for 'flat.qcow2'" in flattened.stderr
    assert {one.stderr.count("\n") for one in (too_big, copied, flattened)} == {1}
    assert left == [".a.raw.tashi", "a.raw", "filler"]
    assert cloned.returncode == 0
    assert ended == []


def send_all(site: Site, to: ImportForm) -> None:
    """Send what is more than there is room for."""
    while to.next * to.piece_bytes < to.size:
        to = site.calls.call(
            "sendPiece",
            ImportForm,
            import_id=to.id,
            number=to.next,
            content=os.urandom(to.piece_bytes),
        )


def test_an_instance_is_not_created_of_an_image_that_is_being_made(site: Site, large: Path) -> None:
    client = begin_client(site, "importImage", "--file", large)
    until(lambda: parts(site.images) != [], "The beginning")

    early = site.run("client", "createVm", "--name", "web", "--disks", "large.raw")
    client.communicate(timeout=SECONDS)
    late = site.run("client", "createVm", "--name", "web", "--disks", "large.raw")

    assert early.returncode == 1
    assert late.returncode == 0
    assert {one.state for one in site.instances().values()} == {InstanceState.PENDING}
