"""A real libvirtd that is killed, started again, and stopped in its tracks: the line comes back."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from libvirtds import Libvirtd
from system.counting import until
from tashi.adapters.hypervisor.libvirt import channel
from tashi.adapters.hypervisor.libvirt.channel import Connection, Silent
from tashi.adapters.hypervisor.libvirt.link import Link

pytestmark = [pytest.mark.system, pytest.mark.libvirt, pytest.mark.timeout(300)]

SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.05
CALLERS = 4


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[Libvirtd]:
    """One that every test leaves running."""
    with tempfile.TemporaryDirectory(prefix="tashi-lv") as folder:
        made = Libvirtd(Path(folder) / "lv", "alone")
        made.start()
        yield made
        made.stop()


@pytest.fixture
def back() -> threading.Event:
    return threading.Event()


@pytest.fixture
def link(libvirtd: Libvirtd, back: threading.Event) -> Iterator[Link]:
    made = Link(libvirtd.uri, SECONDS, lambda *_: None, back.set)
    yield made
    libvirtd.send(signal.SIGCONT)
    made.close()


def version(connection: Connection) -> int:
    return int(connection.getLibVersion())


def test_who_asks_while_libvirtd_is_away_waits_for_it(
    libvirtd: Libvirtd, link: Link, back: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    before = link.ask(version)
    libvirtd.kill()
    until(lambda: "broke: guests live on" in caplog.text, lambda: "The line has not broken.")
    starting = threading.Thread(target=libvirtd.start)
    starting.start()

    after = link.ask(version)
    starting.join()

    assert after == before
    assert back.wait(SECONDS)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after two seconds."""
    monkeypatch.setattr(channel, "_PROBE_SECONDS", 1)
    monkeypatch.setattr(channel, "_PROBES", 1)


def warmed(link: Link) -> None:
    """Have as many connections open as there are callers."""
    meeting = threading.Barrier(CALLERS)
    for call in [link.begin(lambda _: meeting.wait(), within=SECONDS) for _ in range(CALLERS)]:
        call.result()


def test_everybody_in_a_call_comes_back_when_libvirtd_hangs_and_then_the_line_does(
    libvirtd: Libvirtd, hasty: None, link: Link, back: threading.Event
) -> None:
    warmed(link)
    given_up = link._ear
    assert given_up is not None
    libvirtd.send(signal.SIGSTOP)
    calls = [link.begin(version, within=SECONDS) for _ in range(CALLERS)]
    outcomes = [call.outcome.exception(SECONDS) for call in calls]
    libvirtd.send(signal.SIGCONT)

    assert {type(one) for one in outcomes} == {Silent}
    assert link.ask(version) > 0
    assert back.wait(SECONDS)
    assert given_up.dropped.wait(SECONDS)


def test_who_asks_while_libvirtd_hangs_is_answered_when_it_goes_on(
    libvirtd: Libvirtd, link: Link
) -> None:
    libvirtd.send(signal.SIGSTOP)
    calls = [link.begin(version, within=SECONDS) for _ in range(2 * CALLERS)]
    too_late = link.begin(version, within=0)
    libvirtd.send(signal.SIGCONT)

    assert all(call.result() > 0 for call in calls)
    with pytest.raises(Silent, match="too late"):
        too_late.result()


def test_a_libvirtd_that_hung_while_nobody_asked_is_asked_on_another_line(
    libvirtd: Libvirtd, hasty: None, link: Link, back: threading.Event
) -> None:
    given_up = link._ear
    assert given_up is not None
    libvirtd.send(signal.SIGSTOP)
    while given_up.is_alive():
        threading.Event().wait(LOOK_AGAIN_SECONDS)
    libvirtd.send(signal.SIGCONT)

    assert link.ask(version) > 0
    assert back.wait(SECONDS)


def test_who_is_in_a_call_when_libvirtd_is_killed_is_told_and_the_next_is_answered(
    libvirtd: Libvirtd, link: Link, back: threading.Event
) -> None:
    warmed(link)
    libvirtd.send(signal.SIGSTOP)
    calls = [link.begin(version, within=SECONDS) for _ in range(2 * CALLERS)]
    libvirtd.kill()
    outcomes = [call.outcome.exception(SECONDS) for call in calls]
    libvirtd.start()

    assert {type(one) for one in outcomes} == {Silent}
    assert link.insist(version) > 0
    assert back.wait(SECONDS)


def test_a_line_is_closed_while_libvirtd_hangs(libvirtd: Libvirtd, hasty: None, link: Link) -> None:
    warmed(link)
    libvirtd.send(signal.SIGSTOP)
    call = link.begin(version, within=SECONDS)
    link.close()
    outcome = call.outcome.exception(SECONDS)
    libvirtd.send(signal.SIGCONT)

    assert isinstance(outcome, Silent)
