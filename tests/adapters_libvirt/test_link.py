"""The line to libvirtd: what is said when there is none, and no waiting for ever.

libvirt's driver for tests, inside this process, answers like a libvirtd.
"""

import asyncio
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest

from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.domains import taken_by_others
from tashi.adapters.hypervisor.libvirt.link import (
    Call,
    Link,
    check_version,
    find,
    refusal,
    socket_of,
)
from tashi.adapters.hypervisor.libvirt.loop import LOOP
from tashi.domain.errors import HypervisorFailed, Misconfigured
from tashi.domain.identity import Mib
from tashi.ports.hypervisor import Others

IN_PROCESS = "test:///default"
URI = "qemu:///system"
SECONDS = 60.0


@pytest.fixture
def told() -> "queue.SimpleQueue[tuple[str, int, int]]":
    return queue.SimpleQueue()


@pytest.fixture
def link(told: "queue.SimpleQueue[tuple[str, int, int]]") -> Iterator[Link]:
    made = Link(IN_PROCESS, SECONDS, lambda *news: told.put(news), lambda: None)
    yield made
    made.close()


def the_domain(connection: Connection) -> str:
    [domain] = connection.listAllDomains()
    return str(domain.UUIDString())


def test_what_is_asked_is_answered(link: Link) -> None:
    assert link.ask(lambda connection: str(connection.getType())) == "TEST"


def test_a_domain_is_found_or_not(link: Link) -> None:
    there = link.ask(the_domain)

    assert link.ask(lambda connection: find(connection, there) is not None)
    assert link.ask(lambda connection: find(connection, there[::-1]) is None)


def test_what_others_take_is_counted(link: Link, tmp_path: Path) -> None:
    assert link.ask(lambda connection: taken_by_others(connection, tmp_path)) == Others(
        2, Mib(8192)
    )


def test_what_happens_to_domains_is_told(
    link: Link, told: "queue.SimpleQueue[tuple[str, int, int]]"
) -> None:
    uuid = link.ask(the_domain)

    link.ask(lambda connection: connection.lookupByUUIDString(uuid).suspend())
    link.ask(lambda connection: connection.lookupByUUIDString(uuid).resume())

    assert told.get(timeout=SECONDS)[:2] == (uuid, libvirt.VIR_DOMAIN_EVENT_SUSPENDED)
    assert told.get(timeout=SECONDS)[:2] == (uuid, libvirt.VIR_DOMAIN_EVENT_RESUMED)


def test_a_refusal_is_a_sentence_of_libvirts(link: Link) -> None:
    with pytest.raises(HypervisorFailed, match=r"^Domain not found.*\.$"):
        link.ask(lambda connection: connection.lookupByName("nobody"))


def test_a_call_that_hangs_is_not_waited_for(link: Link) -> None:
    released = threading.Event()

    with pytest.raises(HypervisorFailed, match=r"did not answer within 0\.05 s"):
        link.ask(lambda _: released.wait(), within=0.05)

    released.set()


def test_nothing_is_asked_on_a_closed_line(link: Link) -> None:
    link.close()
    link.close()

    with pytest.raises(HypervisorFailed, match="does not answer"):
        link.ask(the_domain)
    with pytest.raises(HypervisorFailed):
        link.insist(the_domain)


def test_without_libvirtd_it_says_what_to_do(tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path}/none"

    with pytest.raises(HypervisorFailed, match=r"No such file.* Start it, or set uri in \[Libvirt"):
        Link(uri, SECONDS, lambda *_: None, lambda: None)


@pytest.fixture
def turning() -> Iterator[None]:
    """The loop turns until every call has ended and has let go of what it had open."""
    LOOP.join()
    yield
    for thread in threading.enumerate():
        if thread.name == "libvirt-call":
            thread.join(SECONDS)
    LOOP.leave()


def test_a_libvirtd_that_is_stopped_is_not_waited_for(tmp_path: Path, turning: None) -> None:
    place = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()

        with pytest.raises(HypervisorFailed, match=r"within 0\.2 s: is it stopped\?"):
            Link(f"qemu+unix:///system?socket={place}", 0.2, lambda *_: None, lambda: None)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (libvirt.VIR_ERR_AUTH_FAILED, "authentication failed: access denied by policy."),
        (38, "Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied."),
    ],
)
def test_who_is_not_let_in_is_told_how_to_be(code: int, words: str) -> None:
    told = refusal(URI, code, words)

    assert isinstance(told, Misconfigured)
    assert words in told.message
    assert "Run it as root, or as a member of the group" in told.message


def test_a_libvirt_that_is_too_old_is_refused() -> None:
    check_version(URI, 9_000_000)

    with pytest.raises(Misconfigured, match=r"is 8\.10\.2, which is too old: .* 9\.0\.0 or newer"):
        check_version(URI, 8_010_002)


def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    def fail() -> None:
        raise HypervisorFailed("It is broken.")

    call = Call(fail)

    assert call.is_over(SECONDS)
    with pytest.raises(HypervisorFailed, match="broken"):
        call.result()


def test_the_socket_of_a_libvirtd_is_what_its_uri_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    own = tmp_path / "libvirt"
    own.mkdir()
    (own / "libvirt-sock").touch()

    assert socket_of("qemu+unix:///system?socket=/a/sock") == Path("/a/sock")
    assert socket_of("qemu:///session") == own / "libvirt-sock"
    (own / "virtqemud-sock").touch()
    assert socket_of("qemu:///session") == own / "virtqemud-sock"


def test_a_mistake_of_ours_is_logged_though_nobody_may_wait_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stumble() -> None:
        raise ValueError("a mistake")

    call = Call(stumble)

    with pytest.raises(ValueError, match="a mistake"):
        call.result()
    assert "in a way that it should not" in caplog.text


def test_a_call_that_nobody_waits_for_any_more_ends_without_a_word(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncaught: list[object] = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    answered = threading.Event()
    call = Call(answered.wait)

    async def wait_in_vain() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0):
                await asyncio.wrap_future(call.outcome)

    asyncio.run(wait_in_vain())
    answered.set()
    for thread in threading.enumerate():
        if thread.name == "libvirt-call":
            thread.join(SECONDS)

    assert uncaught == []
    assert caplog.text == ""
