"""The accounting daemon beside a real cluster: killed with it, it loses and doubles nothing."""

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import msgspec
import pytest

import usage_by_hand
from receivers import Post, Receiver, answering, hang, slam
from system.books import Place
from system.clients import Client, Wish
from system.ordeals import Report, have_worked, load
from system.sites import PATIENCE_SECONDS, SIMULATED, Shape, Site
from tashi.adapters.accounting.reading import FolderReader
from tashi.domain.errors import NoSuchInstance
from tashi.wire import history
from tashi.wire.forms import EntryForm, EventsForm, InstanceForm

SEED: Final = 20_263
BLOWS: Final = 24
ANSWERS: Final = 10
VOLUME_MIB: Final = 1
IMAGE: Final = "empty.qcow2"
SECRET: Final = "a secret of sixteen letters"
LOG: Final = "lines.log"
TABLE: Final = "accounting.db"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    """A receiver of webhooks that is well, and one that hangs for ever."""
    well, ill = Receiver(), Receiver(moods=[hang] * 10_000)
    yield well, ill
    well.stop()
    ill.stop()


@pytest.fixture
def site(short_path: Path, receivers: tuple[Receiver, Receiver], books: Place) -> Iterator[Site]:
    well, ill = (f"http://127.0.0.1:{one.port}/hook" for one in receivers)
    extra: dict[str, dict[str, object]] = {
        "AccountingService": {
            "volumeSize": VOLUME_MIB,
            "logFile": short_path / LOG,
            "tableUri": f"sqlite://{short_path / TABLE}",
        },
        "Webhooks": {
            "url1": ill,
            "secret1": SECRET,
            "url2": well,
            "secret2": SECRET,
            "timeout": 2,
        },
    }
    site = Site(short_path, Shape(vmm=SIMULATED, hosts=2, books=books, extra=extra))
    site.add_image(IMAGE)
    site.start()
    site.accounting.start()
    followed_to(site, site.now().next)
    yield site
    assert not site.end()


@contextmanager
def at_work(site: Site, draws: random.Random) -> Iterator[list[Client]]:
    """Clients that create and destroy instances meanwhile."""
    report = Report()
    with load(site, draws, Wish(image=IMAGE), report) as clients:
        yield clients
    assert not report.broken


def strike(site: Site, clients: Sequence[Client], draws: random.Random) -> None:
    """Kill the accounting daemon or the cluster manager in the middle of work, or both."""
    have_worked(clients, ANSWERS, PATIENCE_SECONDS)
    sleep(draws.uniform(0.0, 0.2))
    doomed = draws.choice([(site.accounting,), (site.manager,), (site.accounting, site.manager)])
    for daemon in doomed:
        daemon.kill()
    sleep(draws.uniform(0.0, 0.3))
    for daemon in doomed:
        daemon.start()


def lines_of(site: Site) -> list[list[bytes]]:
    """What stands in each volume of the site's journal."""
    reader = FolderReader(site.folder / "accounting")
    return [[line for line, _ in reader.lines(volume)] for volume in reader.volumes()]


def followed_to(site: Site, event: int) -> list[list[bytes]]:
    """The journal, once it holds everything before that event."""
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        volumes = lines_of(site)
        if volumes and following(volumes[-1]) == event:
            return volumes
        sleep(0.05)
    raise AssertionError(f"The journal did not come to event {event}.\n{site.story()}")


def following(volume: Sequence[bytes]) -> int:
    first, *others = volume
    return history.number_of(others[-1]) + 1 if others else history.next_after_first(first)


def told_by_the_cluster_manager(site: Site, since: int) -> list[EntryForm]:
    """The events from that number on."""
    found: list[EntryForm] = []
    while True:
        news = site.calls.call("watch", EventsForm, since=since, timeout=0.0)
        if not news.events:
            return found
        found += news.events
        since = news.next


def destroy_everything(site: Site) -> None:
    for one in site.now().instances:
        with suppress(NoSuchInstance):  # it was being destroyed already
            site.calls.call("destroyVm", InstanceForm, instance_id=one.id)
    site.until(lambda now: not now.instances)


def eventually(holds: Callable[[], bool], site: Site) -> None:
    """Wait until it holds; fails when it does not in time."""
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        if holds():
            return
        sleep(0.05)
    raise AssertionError(f"It did not come to that.\n{site.story()}")


def rows(site: Site) -> list[int]:
    """The numbers of the events in the table."""
    with closing(sqlite3.connect(site.folder / TABLE)) as database:
        found = database.execute("SELECT number FROM accounting ORDER BY volume, number")
        return [number for (number,) in found]


def lines(site: Site) -> list[str]:
    """Time and event of each line in the log."""
    text = (site.folder / LOG).read_text()
    return [line.rpartition("|")[0] for line in text.splitlines()]


def numbers(posts: Sequence[Post]) -> list[int]:
    return [json.loads(post.body)["number"] for post in posts]


def test_every_outlet_has_every_event_once_whoever_is_killed(
    site: Site, receivers: tuple[Receiver, Receiver]
) -> None:
    well, ill = receivers
    draws = random.Random(SEED + 1)
    with at_work(site, draws) as clients:
        for blow in range(BLOWS // 2):
            strike(site, clients, draws)
            if blow % 3 == 0:
                well.moods.append(draws.choice([answering(503), slam]))
                well.hang_up()
    destroy_everything(site)
    volumes = followed_to(site, site.now().next)
    written = [msgspec.json.decode(line, type=EntryForm) for one in volumes for line in one[1:]]

    eventually(lambda: numbers(well.posts)[-1] == written[-1].number, site)
    eventually(lambda: len(rows(site)) == len(written), site)
    said = [f"{one.at}|{one.line}" for one in written if one.line]
    eventually(lambda: len(lines(site)) == len(said), site)

    assert rows(site) == [one.number for one in written]
    assert lines(site) == said
    assert list(dict.fromkeys(numbers(well.posts))) == [one.number for one in written]
    assert set(numbers(ill.posts)) == {written[0].number}
    assert f"Webhook http://127.0.0.1:{ill.port}/hook takes no events" in site.story(1000)
    assert site.accounting.stop() == 0


def test_the_journal_has_every_event_once_whoever_is_killed(site: Site) -> None:
    draws = random.Random(SEED)
    with at_work(site, draws) as clients:
        for _ in range(BLOWS):
            strike(site, clients, draws)
    destroy_everything(site)

    volumes = followed_to(site, site.now().next)

    first = history.next_after_first(volumes[0][0])
    written = [msgspec.json.decode(line, type=EntryForm) for one in volumes for line in one[1:]]
    assert written == told_by_the_cluster_manager(site, first)
    assert len(written) > BLOWS * ANSWERS
    assert all(following(a) == history.next_after_first(b[0]) for a, b in pairwise(volumes))
    assert site.accounting.stop() == 0
    assert "Traceback" not in site.accounting.log.read_text()


def test_usage_agrees_with_what_watch_tells(site: Site) -> None:
    draws = random.Random(SEED)
    with at_work(site, draws) as clients:
        for _ in range(4):
            strike(site, clients, draws)
    destroy_everything(site)
    followed_to(site, site.now().next)
    events = len(told_by_the_cluster_manager(site, 1))
    told = site.first_lines(events, "client", "watch", "--since", "1", "--output", "json")
    asked = site.run("admin", "usage", "--from", "2001-09-09", "--output", "json")

    [row] = json.loads(asked.stdout)
    [[count, seconds, core_seconds, memory_seconds]] = by_hand(told, 1e9, 4e9).values()
    assert asked.returncode == 0
    assert lacking(asked) == "What happened from 2001-09-09"
    assert row["instances"] == count > 0
    assert row["instanceSeconds"] == pytest.approx(seconds, abs=0.1)
    assert row["coreSeconds"] == pytest.approx(core_seconds, abs=0.1)
    assert row["memorySeconds"] == pytest.approx(memory_seconds, abs=0.1 * 16)


def test_it_follows_a_cluster_that_asks_for_proof(short_path: Path, books: Place) -> None:
    site = Site(short_path, Shape(vmm=SIMULATED, secure=True, books=books))
    site.add_image(IMAGE)
    site.start()
    site.accounting.start()

    made = site.run("client", "createVm", "--name", "web", "--disks", IMAGE, "--wait")
    followed_to(site, site.now().next)
    asked = site.run("admin", "usage", "--from", "2001-09-09", "--output", "json")

    assert made.returncode == 0, made.stderr
    assert [row["user"] for row in json.loads(asked.stdout)] == ["root"]
    assert lacking(asked) == "What happened from 2001-09-09"
    assert site.accounting.stop() == 0
    assert not site.end()


def lacking(asked: subprocess.CompletedProcess[str]) -> str:
    """How the one warning begins: before the site there was no journal."""
    words: str = json.loads(asked.stderr)["warning"]
    return " ".join(words.split()[:4])


def by_hand(events: Sequence[str], begin: float, end: float) -> dict[str, list[float]]:
    reckoned = subprocess.run(
        [sys.executable, "-I", "-S", usage_by_hand.__file__, str(begin), str(end)],
        input="".join(events),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(reckoned.stdout)
    return found
