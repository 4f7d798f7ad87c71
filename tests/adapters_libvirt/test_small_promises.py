"""What is promised of guests under QEMU alone holds under libvirt, too: files, disks, doors."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from errno import ENOSPC
from typing import Any

import pytest

from adapters_libvirt.pairs import SEVEN, Pair, found, wait_until
from contracts.machines import PEER, Heard, a_spec
from tashi.adapters.hypervisor.libvirt import guest as guest_module
from tashi.adapters.hypervisor.libvirt.adoption import Adoption
from tashi.adapters.hypervisor.libvirt.doing import Doing
from tashi.adapters.hypervisor.libvirt.door import LET_IN, WORD_BYTES, Sign, hashed, read_door
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending
from tashi.ports.hypervisor import Found, FoundGuest, Happening

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

SECONDS = 60.0
STORAGE = "migration-vda-storage"


def test_everything_kept_of_a_guest_is_private(pair: Pair) -> None:
    pair.open(pair.here).start(a_spec())

    places = (pair.here.info, *pair.here.info.rglob("*"), *pair.here.scratch.glob("*/*"))
    # A folder that nobody else may enter keeps what is in it.
    closed = [place for place in places if place.is_dir() and not place.stat().st_mode & 0o077]
    open_to_others = [
        place.name
        for place in places
        if place.lstat().st_mode & 0o077 and not any(one in place.parents for one in closed)
    ]

    assert open_to_others == []


def test_a_wrong_word_lets_nobody_run(pair: Pair) -> None:
    source, target = pair.open(pair.here), pair.open(pair.there)
    source.start(a_spec())
    incoming = target.prepare_target(a_spec(), PEER)
    door = read_door(incoming)

    source.send(SEVEN, pair.here.unheard(incoming))
    with socket.create_connection((door.address, door.port), SECONDS) as line:
        line.sendall(door.key.encode() + Sign.WORD.value)
        let_in = line.recv(1)
        line.sendall(hashed(b"anything")[:WORD_BYTES])
        answer = line.recv(1)
    stands = (found(target), pair.running())
    target.run(SEVEN)

    assert (let_in, answer) == (LET_IN, b"")
    assert stands == ([Found.RECEIVING], [])
    assert pair.running() == ["there"]


def test_a_guest_that_ends_while_something_is_done_with_it_that_fails_is_told_of(
    pair: Pair,
) -> None:
    heard, failed = Heard(), HypervisorFailed("Nothing comes of it.")
    opened = pair.open(pair.here)
    opened.listen(heard)
    running = opened.start(a_spec())
    guest = opened._guests.watched[SEVEN]

    with suppress(HypervisorFailed), guest.undisturbed():
        pair.here.crash(running)
        wait_until(lambda: guest._stirred)
        raise failed
    told = heard.next()

    assert (told.instance_id, told.what, told.how) == (SEVEN, Happening.ENDED, Ending.CRASHED)


def test_an_agent_that_came_while_its_guest_began_is_asked(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = pair.open(pair.here)
    monkeypatch.setattr(guest_module, "has_agent", lambda _: True)

    opened.start(a_spec())
    opened._guests.wait_for_jobs()

    async def asks() -> bool:
        return opened._guests.watched[SEVEN]._agent._stop is not None

    assert opened._reactor.call(asks())


def test_a_guest_that_ends_while_it_is_found_is_told_of(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pair.open(pair.here)
    running = first.start(a_spec())
    first.close()
    tell, heard = Adoption._tell, Heard()

    def tell_late(adoption: Adoption, guest: Guest, doing: Doing) -> FoundGuest:
        pair.here.crash(running)
        second._look_again()
        second._guests.wait_for_jobs()
        return tell(adoption, guest, doing)

    monkeypatch.setattr(Adoption, "_tell", tell_late)
    second = pair.open(pair.here)
    second.listen(heard)

    told = found(second), heard.next()

    assert told[0] == [Found.RUNNING]
    assert (told[1].instance_id, told[1].what) == (SEVEN, Happening.ENDED)
    assert told[1].how is Ending.CRASHED


def test_what_a_move_in_which_libvirtd_was_killed_left_in_qemu_keeps_no_other_from_beginning(
    pair: Pair,
) -> None:
    source, target = pair.open(pair.here), pair.open(pair.there)
    source.start(a_spec())
    guest = source._guests.watched[SEVEN]
    left = {"storage": {"driver": "null-co"}, "format": {"driver": "raw", "file": STORAGE}}
    for layer, described in left.items():
        guest.ask("blockdev-add", **{"node-name": f"migration-vda-{layer}"}, **described)

    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    target.run(SEVEN)

    assert (found(source), found(target)) == ([Found.LEFT], [Found.RUNNING])


def test_a_guest_that_stood_still_in_a_move_that_was_cut_short_is_found_running(pair: Pair) -> None:
    first = pair.open(pair.here)
    first.start(a_spec())
    first._guests.watched[SEVEN].remember(lambda record: replace(record, move=Move.SENDING))
    first.close()
    pair.here.freeze(SEVEN)

    found_here = found(pair.open(pair.here))

    assert (found_here, pair.running()) == ([Found.RUNNING], ["here"])


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """While that lasts, nothing can be written to the folders of guests."""

    def refuse(*_what: object, **_how: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    @contextmanager
    def full() -> Iterator[None]:
        with monkeypatch.context() as patches:
            patches.setattr(GuestFolder, "write", refuse)
            patches.setattr(GuestFolder, "make", refuse)
            yield

    return full


@pytest.mark.parametrize(
    "cut_short",
    [{"saving": "x"}, {"move": Move.SENDING}, {"vm_id": None}],
    ids=["save", "move", "start"],
)
def test_a_guest_whose_order_was_cut_short_is_found_though_the_disk_is_full(
    cut_short: dict[str, Any], pair: Pair, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    first = pair.open(pair.here)
    first.start(a_spec())
    first._guests.watched[SEVEN].remember(lambda record: replace(record, **cut_short))
    first.close()

    with full_disk():
        here = found(pair.open(pair.here))

    assert (here, pair.running()) == ([Found.RUNNING], ["here"])


def test_a_guest_that_has_left_or_come_is_found_so_though_the_disk_is_full(
    pair: Pair, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    source, target = pair.open(pair.here), pair.open(pair.there)
    source.start(a_spec())
    guest = source._guests.watched[SEVEN]
    source.send(SEVEN, target.prepare_target(a_spec(), PEER))
    guest.folder.write(replace(guest.record, move=Move.SENDING))
    wait_until(lambda: pair.running() == ["there"])
    come = target._guests.watched[SEVEN]
    come.remember(lambda record: replace(record, move=Move.RECEIVING))

    with full_disk():
        left = found(pair.open(pair.here))
        arrived = found(target)

    assert (left, arrived) == ([Found.LEFT], [Found.RUNNING])
