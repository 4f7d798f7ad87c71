"""Guests that take long to move or to save: that tells how far it is, and can be called back."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from adapters_libvirt.pairs import BUSY, SEVEN, Pair, found, wait_until
from contracts.libvirt_machines import LibvirtMachine
from contracts.machines import NEWS_SECONDS, PEER, Heard, a_spec
from libvirtds import Libvirtd
from tashi.adapters.hypervisor.libvirt import jobs
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId, Mib
from tashi.ports.hypervisor import Found

if TYPE_CHECKING:
    from tashi.domain.guest import Progress

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

LARGE = a_spec(memory=Mib(256))
SAVED = "seven"
IMPATIENT = 3.0
A_MOMENT = 0.02
MIB = 1 << 20


def test_a_move_tells_how_far_it_is(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_LOOK_SECONDS", A_MOMENT)
    source, target = pair.open(pair.here), pair.open(pair.there)
    told: list[Progress] = []
    source.follow(lambda _, progress: told.append(progress))
    pair.start(source)
    pair.slow_down()
    incoming = target.prepare_target(BUSY, PEER)

    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(source.send, SEVEN, incoming)
        wait_until(lambda: len({one.done for one in told}) > 2)
        pair.hurry()
        moving.result(NEWS_SECONDS)

    assert told[0].done < told[-1].done
    assert all(0 <= one.done <= one.total for one in told)
    assert (found(source), found(target)) == ([Found.LEFT], [Found.RUNNING])


def test_a_move_is_called_back_without_waiting_for_the_next_look(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK_SECONDS", 2 * NEWS_SECONDS)
    source, target = pair.open(pair.here), pair.open(pair.there)
    pair.start(source)
    pair.slow_down()
    incoming = target.prepare_target(BUSY, PEER)

    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(source.send, SEVEN, incoming)
        wait_until(pair.is_crossing)
        source.cancel(SEVEN, incoming)
        failed = moving.exception(NEWS_SECONDS)
    stayed, running = found(source), pair.running()
    target.kill(SEVEN)
    target.clear(SEVEN)
    pair.hurry()
    source.send(SEVEN, target.prepare_target(BUSY, PEER))

    assert isinstance(failed, HypervisorFailed)
    assert "was called back" in str(failed)
    assert (stayed, running) == ([Found.RUNNING], ["here"])
    assert (found(source), found(target)) == ([Found.LEFT], [Found.RUNNING])


def test_a_move_that_takes_too_long_is_given_up_and_the_guest_runs_on(pair: Pair) -> None:
    source, target = pair.open(pair.here, migrate_timeout=IMPATIENT), pair.open(pair.there)
    pair.start(source)
    pair.slow_down()

    with pytest.raises(HypervisorFailed, match=r"took longer than 3 s\.$"):
        source.send(SEVEN, target.prepare_target(BUSY, PEER))

    assert (found(source), pair.running()) == ([Found.RUNNING], ["here"])


@pytest.fixture
def goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for which every save waits of a libvirtd that begins from now on."""
    wish, gzip = tmp_path / "goes-on", tmp_path / "gzip"
    gzip.write_text(
        f'#!/bin/sh\nwhile [ ! -e {wish} ]; do sleep 0.05; done\nexec {which("gzip")} "$@"\n'
    )
    gzip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return wish


@pytest.fixture
def machine(
    goes_on: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibvirtMachine]:
    """One whose libvirtd squeezes what it saves, and is asked at once how far it is."""
    monkeypatch.setattr(jobs, "_LOOK_SECONDS", A_MOMENT)
    made = LibvirtMachine.made()
    daemon = Libvirtd(tmp_path_factory.mktemp("s") / "lv", "host1")
    with (daemon.folder / "etc" / "qemu.conf").open("a") as settings:
        settings.write('save_image_format = "gzip"\n')
    made.daemons = [daemon]
    daemon.start()
    yield made
    goes_on.touch()
    made.close()
    daemon.stop()


def test_a_save_tells_how_far_it_is(machine: LibvirtMachine, goes_on: Path) -> None:
    told: list[tuple[InstanceId, Progress]] = []
    with closing(machine.open()) as source, ThreadPoolExecutor(1) as pool:
        source.listen(Heard())
        source.follow(lambda guest, progress: told.append((guest, progress)))
        source.start(LARGE)
        saving = pool.submit(source.save, SEVEN, SAVED)
        wait_until(lambda: len(told) > 1)
        goes_on.touch()
        saving.result(NEWS_SECONDS)
        remains = found(source)

    assert {guest for guest, _ in told} == {SEVEN}
    assert all(0 <= one.done <= one.total for _, one in told)
    assert told[-1][1].total > LARGE.memory * MIB
    assert remains == [Found.GONE]
