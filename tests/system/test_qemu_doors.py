"""Who may come to a target that waits for a guest, and what becomes of everybody else.

These are the doors of QEMU's own streams; libvirt moves guests over a line between libvirtds, whose
door is tried in tests/adapters_libvirt.
"""

import socket
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.machines import PEER, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.engine import Hardware
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
STRANGER = "127.0.0.6"
NOT_LONG = 0.5
PATIENCE_SECONDS = 30.0


@pytest.fixture
def source(here: QemuMachine) -> Iterator[Qemu]:
    with closing(here.open()) as qemu:
        qemu.start(a_spec())
        yield qemu


@pytest.fixture
def target(there: QemuMachine) -> Iterator[Qemu]:
    with closing(there.open()) as qemu:
        yield qemu


def said(
    port: int, sender: str, words: bytes = b"", patience: float = PATIENCE_SECONDS
) -> bytes | None:
    """What a port says to somebody at that address; ``None`` when it says nothing to them."""
    try:
        with socket.create_connection((PEER, port), patience, (sender, 0)) as line:
            line.sendall(words)
            return line.recv(8)
    except TimeoutError:
        return None


def found(qemu: Qemu) -> Found:
    [one] = qemu.adopt()
    return one.found


def test_neither_port_of_a_target_is_there_for_a_stranger(
    there: QemuMachine, source: Qemu, target: Qemu
) -> None:
    incoming = target.prepare_target(a_spec(), PEER)
    door = there.door_of(SEVEN)
    words = door.key.encode()

    refused = [said(port, STRANGER, words, NOT_LONG) for port in (door.memory, door.disks)]
    source.send(SEVEN, incoming)
    target.run(SEVEN)

    assert refused == [None, None]
    assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)


def test_one_from_the_right_machine_without_the_key_is_sent_away_and_the_guest_still_arrives(
    there: QemuMachine, source: Qemu, target: Qemu
) -> None:
    incoming = target.prepare_target(a_spec(), PEER)
    door = there.door_of(SEVEN)

    turned_away = said(door.memory, PEER, b"x" * len(door.key))
    source.send(SEVEN, incoming)
    target.run(SEVEN)

    assert turned_away == b""
    assert found(target) is Found.RUNNING


def test_a_wrong_word_lets_nobody_run_and_the_right_one_is_still_heard(
    here: QemuMachine, there: QemuMachine, target: Qemu
) -> None:
    incoming = target.prepare_target(a_spec(), PEER)
    door = there.door_of(SEVEN)
    seen: list[object] = []

    def try_words(step: str) -> None:
        if step == "left":
            wrong = (door.key + "x" * 32, door.pledge + "x" * 32, "x" * 64)
            heard = [said(door.memory, PEER, words.encode(), NOT_LONG) for words in wrong]
            seen.extend([*heard, found(target)])

    with closing(here.open(on_step=try_words)) as source:
        source.start(a_spec())
        source.send(SEVEN, incoming)

        assert seen == [None, None, None, Found.RECEIVING]
        assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)


def test_a_word_that_comes_before_all_is_there_lets_nobody_run(
    there: QemuMachine, source: Qemu, target: Qemu
) -> None:
    incoming = target.prepare_target(a_spec(), PEER)
    door, word = there.door_of(SEVEN), "0" * 32
    with socket.create_connection((PEER, door.memory), PATIENCE_SECONDS, (PEER, 0)) as line:
        line.sendall(door.pledge.encode() + sha256(word.encode()).hexdigest().encode())
        let_in = line.recv(1)
        early = said(door.memory, PEER, (door.key + word).encode())

        assert (let_in, early) == (b"+", b"")
        assert found(target) is Found.RECEIVING
    with pytest.raises(HypervisorFailed):
        source.send(SEVEN, incoming)
    assert found(source) is Found.RUNNING


def test_nobody_gets_in_twice(there: QemuMachine, source: Qemu, target: Qemu) -> None:
    incoming = target.prepare_target(a_spec(), PEER)
    door = there.door_of(SEVEN)
    source.send(SEVEN, incoming)

    with pytest.raises(ConnectionRefusedError):
        said(door.memory, PEER)


def test_a_target_that_is_not_told_by_whom_it_is_met_does_not_open(
    there: QemuMachine, target: Qemu
) -> None:
    with pytest.raises(HypervisorFailed, match="did not say where the guest will come from"):
        target.prepare_target(a_spec(), "")

    assert (there.qemus(), there.leftovers()) == ([], [])


@pytest.mark.parametrize(
    ("different", "words"),
    [
        ({"machine": "pc-q35-99.0"}, "does not offer machine type pc-q35-99.0"),
        ({"accel": "kvm"}, "runs guests under tcg, but it was booted under kvm"),
    ],
)
def test_a_guest_that_cannot_go_on_here_is_not_waited_for(
    there: QemuMachine, target: Qemu, different: dict[str, str], words: str
) -> None:
    plain = {"machine": "pc-q35-7.2", "cpu": "qemu64", "accel": "tcg", "qemu": "7.2.0"}
    hardware = Hardware(**{**plain, **different})  # type: ignore[arg-type]

    with pytest.raises(HypervisorFailed, match=words):
        target.prepare_target(a_spec(hardware=hardware), PEER)

    assert (there.qemus(), there.leftovers()) == ([], [])


def test_a_guest_goes_on_with_the_machine_that_it_was_booted_on(
    here: QemuMachine, there: QemuMachine, target: Qemu
) -> None:
    old = Hardware(machine="pc-q35-6.2", cpu="qemu64", accel="tcg", qemu="6.2.0")
    with closing(here.open()) as source:
        # As if an older QEMU had booted it and had been replaced since.
        booted = source.start(a_spec(hardware=old)).hardware
        source.send(SEVEN, target.prepare_target(a_spec(hardware=booted), PEER))
        moved = target.run(SEVEN).hardware

    assert booted is not None
    assert booted.machine == "pc-q35-6.2"
    assert moved == booted
    assert b"pc-q35-6.2" in (Path("/proc") / str(there.qemus()[0]) / "cmdline").read_bytes()
