"""The node manager or libvirtd is killed in the middle of an order, or both: one guest is left.

The next node manager finds it, and it can be saved, restored or moved as if nothing had been.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from adapters_libvirt.pairs import AGAIN, BUSY, SEVEN, Pair, found, wait_until
from contracts.libvirt_machines import LibvirtMachine
from contracts.machines import PEER, QemuMachine, a_spec
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
from tashi.adapters.hypervisor.qemu import caretaker
from tashi.domain.errors import HypervisorFailed, NoSuchImage, UnableToResume
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

SAVED = "seven"
UNIQUE = InstanceId(60_007)
"""No test beside this one has a guest with its UUID, which is looked for among all processes."""

MOVE_SECONDS = 200.0
NEVER = "never"
BEFORE_IT_LEFT = "let in"
AFTER_IT_LEFT = ("completed", "left")
SAVING = ("writing", "written", "kept")
RESTORING = ("reading", "read", "used")
WITH_LIBVIRTD = pytest.mark.parametrize("too", [False, True], ids=["alone", "with libvirtd"])


@contextmanager
def another(
    machine: LibvirtMachine, step: str, how: str, what: str = ""
) -> "Iterator[subprocess.Popen[str]]":
    """Another node manager that does that and stops at the step; it is killed in the end."""
    words = (str(machine.folder), machine.daemon.uri, step, how, what)
    with subprocess.Popen(
        [sys.executable, "-m", "adapters_libvirt.mortal_node", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def crossing(pair: Pair, target: Libvirt) -> Iterator[None]:
    """While a busy guest crosses slowly; its sender is killed in the end."""
    first = pair.open(pair.here)
    pair.start(first)
    pair.slow_down()
    first.close()
    with another(pair.here, NEVER, "send", target.prepare_target(BUSY, PEER)):
        wait_until(pair.is_crossing)
        yield


def told_by(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def die_at(step: str, machine: LibvirtMachine, how: str, what: str, *, too: bool) -> None:
    """Have it killed at that step, and libvirtd `too`, which is started again."""
    with another(machine, step, how, what) as process:
        assert told_by(process) == step
        if too:
            machine.daemon.kill()
    machine.daemon.start()


def killing(machine: LibvirtMachine, step: str) -> Callable[[str], None]:
    """Kill libvirtd at that step, the first time, and start it again."""
    steps = {step}

    def on_step(now: str) -> None:
        if now in steps:
            steps.remove(now)
            machine.daemon.kill()
            machine.daemon.start()

    return on_step


def runs_once(pair: Pair, source: Libvirt, target: Libvirt) -> None:
    """See that the guest is on one machine, and that it can be moved from here if it is here."""
    here = found(source)
    if here == [Found.RUNNING]:
        assert pair.running() == ["here"]
        target.kill(SEVEN)
        target.clear(SEVEN)
        pair.hurry()
        source.send(SEVEN, target.prepare_target(BUSY, PEER))
    assert found(source) in ([Found.LEFT], [Found.GONE])
    target.run(SEVEN)
    assert (found(target), pair.running()) == ([Found.RUNNING], ["there"])


# The node manager. -------------------------------------------------------------------------------


@WITH_LIBVIRTD
@pytest.mark.parametrize("step", [BEFORE_IT_LEFT, *AFTER_IT_LEFT, "told"])
def test_a_guest_whose_sender_is_killed_is_on_one_machine(step: str, too: bool, pair: Pair) -> None:
    first, target = pair.open(pair.here), pair.open(pair.there)
    pair.start(first)
    first.close()
    die_at(step, pair.here, "send", target.prepare_target(BUSY, PEER), too=too)

    source = pair.open(pair.here)
    remained = found(source)
    runs_once(pair, source, target)

    # A libvirtd that was started anew does not know of moves; the target can be asked.
    has_left = Found.GONE if step == "completed" and too else Found.LEFT
    assert remained == [Found.RUNNING if step == BEFORE_IT_LEFT else has_left]


@WITH_LIBVIRTD
def test_a_guest_whose_sender_is_killed_while_it_crosses_stays(too: bool, pair: Pair) -> None:
    target = pair.open(pair.there)
    with crossing(pair, target):
        if too:
            pair.here.daemon.kill()
    pair.here.daemon.start()

    source = pair.open(pair.here)
    wait_until(lambda: pair.running() == ["here"])
    runs_once(pair, source, target)


@WITH_LIBVIRTD
def test_a_guest_whose_sender_is_killed_when_it_has_crossed_and_nobody_confirmed_is_on_one_machine(
    too: bool, pair: Pair
) -> None:
    target = pair.open(pair.there)
    with crossing(pair, target):
        # The target's libvirtd is told that all is there, and does not hear it yet.
        pair.there.daemon.send(signal.SIGSTOP)
        pair.hurry()
        wait_until(lambda: stands(pair.here))
        if too:
            pair.here.daemon.kill()
    pair.there.daemon.send(signal.SIGCONT)
    pair.here.daemon.start()

    source = pair.open(pair.here)
    runs_once(pair, source, target)


def stands(machine: LibvirtMachine) -> bool:
    return machine.daemon.virsh("domstate", domain_name(SEVEN)).stdout.strip() == "paused"


@pytest.mark.parametrize(("step", "then"), [("heard", Found.RECEIVING), ("runs", Found.RUNNING)])
def test_a_guest_whose_receiver_is_killed_at_the_word_runs_there_when_it_is_told(
    step: str, then: Found, pair: Pair
) -> None:
    source = pair.open(pair.here)
    pair.start(source)
    with another(pair.there, step, "receive") as process:
        source.send(SEVEN, told_by(process))
        assert told_by(process) == step

    target = pair.open(pair.there)
    arrived = found(target)
    runs_once(pair, source, target)

    assert arrived == [then]


def test_a_guest_whose_receiver_is_killed_while_it_crosses_stays(pair: Pair) -> None:
    source = pair.open(pair.here)
    pair.start(source)
    pair.slow_down()
    with ThreadPoolExecutor(1) as pool, another(pair.there, NEVER, "receive") as process:
        moving = pool.submit(source.send, SEVEN, told_by(process))
        wait_until(pair.is_crossing)
        process.kill()
        failed = moving.exception(MOVE_SECONDS)

    target = pair.open(pair.there)
    assert isinstance(failed, HypervisorFailed)
    assert found(source) == [Found.RUNNING]
    runs_once(pair, source, target)


@WITH_LIBVIRTD
@pytest.mark.parametrize("step", SAVING)
def test_a_guest_whose_saver_is_killed_runs_or_is_saved(step: str, too: bool, pair: Pair) -> None:
    first = pair.open(pair.here)
    pair.start(first)
    first.close()
    die_at(step, pair.here, "save", SAVED, too=too)

    opened = pair.open(pair.here)
    after = found(opened)
    if step == "writing":
        opened.save(SEVEN, SAVED)
    opened.restore(AGAIN, SAVED)

    assert after == [Found.RUNNING if step == "writing" else Found.GONE]
    assert pair.running() == ["here"]


@WITH_LIBVIRTD
@pytest.mark.parametrize("step", RESTORING)
def test_a_restore_that_is_cut_short_is_carried_on_and_uses_its_memory_once(
    step: str, too: bool, pair: Pair
) -> None:
    first = pair.open(pair.here)
    pair.start(first)
    first.save(SEVEN, SAVED)
    first.close()
    die_at(step, pair.here, "restore", SAVED, too=too)

    opened = pair.open(pair.here)
    after = found(opened)
    opened.restore(AGAIN, SAVED)

    assert after == [Found.GONE if step == "reading" else Found.NOT_BEGUN]
    assert pair.running() == ["here"]
    assert [path.name for path in pair.here.suspended.iterdir()] == [f"{SAVED}.used"]
    opened.kill(SEVEN)
    with pytest.raises(NoSuchImage):
        opened.restore(AGAIN, SAVED)


# libvirtd alone. ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["here", "there"])
@pytest.mark.parametrize("step", [BEFORE_IT_LEFT, *AFTER_IT_LEFT])
def test_a_guest_whose_libvirtd_is_killed_on_the_way_is_on_one_machine(
    step: str, end: str, pair: Pair
) -> None:
    struck: LibvirtMachine = getattr(pair, end)
    source = pair.open(pair.here, on_step=killing(struck, step))
    target = pair.open(pair.there)
    pair.start(source)

    with suppress(HypervisorFailed):
        source.send(SEVEN, target.prepare_target(BUSY, PEER))

    runs_once(pair, source, target)


@pytest.mark.parametrize("end", ["here", "there"])
def test_a_guest_whose_libvirtd_is_killed_while_it_crosses_is_on_one_machine(
    end: str, pair: Pair
) -> None:
    struck: LibvirtMachine = getattr(pair, end)
    source, target = pair.open(pair.here), pair.open(pair.there)
    pair.start(source)
    pair.slow_down()
    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(source.send, SEVEN, target.prepare_target(BUSY, PEER))
        wait_until(pair.is_crossing)
        struck.daemon.kill()
        struck.daemon.start()
        failed = moving.exception(MOVE_SECONDS)

    assert isinstance(failed, HypervisorFailed)
    runs_once(pair, source, target)


@pytest.mark.parametrize("step", SAVING)
def test_a_save_in_which_libvirtd_is_killed_is_done_or_undone(step: str, pair: Pair) -> None:
    opened = pair.open(pair.here, on_step=killing(pair.here, step))
    pair.start(opened)

    opened.save(SEVEN, SAVED)
    saved = pair.running()
    opened.restore(AGAIN, SAVED)

    assert (saved, pair.running()) == ([], ["here"])


def test_a_guest_that_libvirtd_was_killed_over_before_it_had_a_process_is_cleared_away(
    pair: Pair,
) -> None:
    with libvirtd_about_to_start_it(pair):
        opened = pair.open(pair.here)
        remained = found(opened)
        opened.clear(UNIQUE)
        after = found(opened)
        with pytest.raises(HypervisorFailed, match="end libvirtd, remove the domain's file"):
            opened.start(a_spec(UNIQUE))
    opened.start(a_spec(UNIQUE))

    assert remained == [Found.GONE]
    assert after == []
    assert found(opened) == [Found.RUNNING]


def test_a_guest_that_is_cleared_away_while_libvirtd_makes_it_leaves_nothing_in_the_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "_AGAIN_SECONDS", 0.2)
    with libvirtd_about_to_start_it(pair):
        opened = pair.open(pair.here)
        remained = found(opened)
        opened.clear(UNIQUE)
        kept = pair.here.daemon.domains()
    wait_until(lambda: not pair.here.daemon.domains())

    assert remained == [Found.GONE]
    assert kept == [domain_name(UNIQUE)]


@contextmanager
def libvirtd_about_to_start_it(pair: Pair) -> Iterator[None]:
    """While libvirtd finds that it was about to start the guest's QEMU when it was killed.

    The guest itself is gone. Nobody gets the lock that libvirtd had, so it is made to forget it in
    the end.
    """
    machine, first = pair.here, pair.open(pair.here)
    running = first.start(a_spec(UNIQUE))
    first.close()
    machine.daemon.kill()
    QemuMachine.crash(machine, running)
    file = machine.daemon.folder / f"run/qemu/{domain_name(UNIQUE)}.xml"
    about_to = "<domstatus state='paused' reason='starting up' pid='0'>"
    job = "<job type='none' async='start' flags='0x1' asyncStarted='1'/>"
    text = re.sub("<domstatus .*?>", about_to, file.read_text())
    file.write_text(text.replace("</domstatus>", f"{job}</domstatus>"))
    machine.daemon.start()
    try:
        yield
    finally:
        machine.daemon.kill()
        file.unlink(missing_ok=True)
        machine.daemon.start()


@pytest.mark.parametrize("step", RESTORING)
def test_a_restore_in_which_libvirtd_is_killed_uses_its_memory_once(step: str, pair: Pair) -> None:
    first = pair.open(pair.here)
    pair.start(first)
    first.save(SEVEN, SAVED)
    first.close()

    opened = pair.open(pair.here, on_step=killing(pair.here, step))
    if step == "reading":
        with pytest.raises(UnableToResume):
            opened.restore(AGAIN, SAVED)
    opened.restore(AGAIN, SAVED)

    assert (found(opened), pair.running()) == ([Found.RUNNING], ["here"])
    assert [path.name for path in pair.here.suspended.iterdir()] == [f"{SAVED}.used"]
