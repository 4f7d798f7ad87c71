"""Whatever dies while a guest moves, is saved or is restored, at each moment: one guest is left.

With libvirt too where it is the same code; `test_fault_matrix_libvirt` has what is libvirt's own.
What came of every case is printed at the end, and is in build/fault-matrix.txt; `blows` says how it
is done.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from system.blows import (
    BLOWS,
    DECLARED_DEAD,
    LOCAL,
    Case,
    Matrix,
    StepwiseHosts,
    a_case,
    ambushed,
    arrives_alone,
    close_the_row,
    full,
    printed,
)
from system.counting import until
from system.libvirt_blows import EITHER_AT_TIMES, LOCAL_BLOWS, dying, local_blows
from system.libvirt_sites import EITHER
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

DEPARTED: Final = {"left": "left", "after": "told"}
SWITCHING: Final = {"switching over": "continued", **DEPARTED}
MOMENTS: Final = {
    "preparing": "loaded",
    "copying disks": "copying",
    "sending memory": "sending",
    "standing still": "mirrored",
    **SWITCHING,
}
"""The moments of a move: the target's QEMU waits, disks cross, memory crosses, the vCPUs stand,
QEMU was told to go on, that the guest has left is written down, its target was told so and lets it
run.
"""
DEAD: Final = "source host, declared dead"
SHARING: Final = [who for who in (*BLOWS, DEAD) if who not in {"cluster manager", "source's cable"}]
"""Who has a hand in a disk that both hosts see in the store."""
SUSPENDING: Final = {"half written": "writing", "written": "written", "in its place": "kept"}
RESUMING: Final = {"half read": "reading", "read": "read", "marked as used": "used"}
SAVED: Final = [*((who, False) for who in LOCAL), ("node manager", True), ("QEMU", True)]
SUSPEND_ROOM: Final = {"writing": 4096, "half written": 65536}
RESUME_ROOM: Final = {"making disks": 4096, "disks half made": 65536}
"""What the disk has room for, in bytes."""
STORING: Final = {"begun": "storing", "half done": "stored-part", "done": "stored"}
STORERS: Final = ("node manager", "cluster manager")


@pytest.fixture
def site(stepwise: StepwiseHosts) -> StepwiseHosts:
    return stepwise


@pytest.fixture(scope="session")
def matrix(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """What came of every case, printed when all are over."""
    file = checkout / "build/fault-matrix.txt"
    with printed("What is left of a guest", file, request.config) as rows:
        yield rows


def check_a_move(case: Case, moment: str, who: str, matrix: Matrix) -> None:
    """Move a guest, strike at the moment, and see that it is left once, and on the right host."""
    blow = BLOWS.get(who, DECLARED_DEAD)
    ambushed(case, MOMENTS[moment], case.migrate, blow)
    place = close_the_row(matrix, case, (case.does("move"), moment, who), blow.deaths)
    if moment in DEPARTED and not blow.deaths:
        assert place == case.target.name


@pytest.mark.parametrize("who", [*BLOWS, DEAD])
def test_a_guest_that_moves_is_left_once(who: str, site: StepwiseHosts, matrix: Matrix) -> None:
    for moment, step in MOMENTS.items():
        with a_case(site, step) as case:
            check_a_move(case, moment, who, matrix)


@pytest.mark.parametrize("who", SHARING)
def test_a_guest_that_moves_with_its_disk_in_the_store_is_left_once(
    who: str, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in SWITCHING.items():
        with a_case(site, step, persistent=True) as case:
            check_a_move(case, moment, who, matrix)


def test_a_guest_runs_on_its_target_while_there_is_no_cluster_manager(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "alone") as case:
        arrives_alone(case, "mirrored")
        close_the_row(matrix, case, ("move", "until long after", "cluster manager"))
        assert site.machine_of(case.instance) == case.target


@pytest.mark.parametrize(("who", "persistent"), SAVED)
def test_a_guest_that_is_saved_is_left_once(
    who: str, persistent: bool, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in SUSPENDING.items():
        with a_case(site, step, persistent=persistent) as case:
            ambushed(case, step, lambda: case.call("suspendVm"), LOCAL[who])
            case.until(S.SUSPENDED, S.RUNNING)
            if case.now().state is S.SUSPENDED:
                case.call("resumeVm")
            close_the_row(matrix, case, (case.does("suspend"), moment, who), LOCAL[who].deaths)


@pytest.mark.parametrize(("who", "persistent"), SAVED)
def test_a_guest_that_is_restored_is_left_once(
    who: str, persistent: bool, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in RESUMING.items():
        with a_case(site, step, persistent=persistent) as case:
            case.call("suspendVm")
            case.until(S.SUSPENDED)
            ambushed(case, step, lambda: case.call("resumeVm"), LOCAL[who])
            close_the_row(matrix, case, (case.does("resume"), moment, who), LOCAL[who].deaths)


@EITHER
def test_a_full_disk_leaves_a_guest_that_is_to_be_saved_running(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, room in SUSPEND_ROOM.items():
        with a_case(site, "full") as case:
            with full(site, "mnt/suspend", room):
                case.call("suspendVm")
                case.until(S.RUNNING)
                words = case.now().reason
            close_the_row(matrix, case, ("suspend", moment, "full disk"))
            assert "was not suspended" in words
            case.call("suspendVm")
            case.until(S.SUSPENDED)
            assert case.saved_bytes() > 2 * room, "It would not have been half written."


@EITHER_AT_TIMES
def test_a_full_disk_holds_a_guest_that_is_to_be_restored(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, room in RESUME_ROOM.items():
        with a_case(site, "full") as case:
            case.call("suspendVm")
            case.until(S.SUSPENDED)
            # A mount hides what is still on the host, so its disks must be in the store by now.
            case.until_stored()
            with full(site, "own/scratch", room):
                case.call("resumeVm")
                case.until(S.HELD)
                words = case.now().reason
            close_the_row(matrix, case, ("resume", moment, "full disk"))
            assert "cannot be" in words


def at_rest(case: Case) -> set[str]:
    """What the image store has of the instance at rest, whole or not."""
    store = case.site.images.parent / "suspend"
    return {one.name for one in store.glob(f"{case.instance}-*")}


@dying(STORERS, [who for who in LOCAL_BLOWS if who != "QEMU"])
def test_a_guest_whose_disks_are_stored_is_left_once(
    who: str, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in STORING.items():
        with a_case(site, step) as case:
            ambushed(case, step, lambda: case.call("suspendVm"), local_blows(site)[who])
            case.until_stored()
            whole = {f"{case.now().stored}.{part}" for part in ("disk0.qcow2", "console")}
            assert at_rest(case) == {case.now().saved, *whole}
            case.call("resumeVm")
            close_the_row(matrix, case, ("store", moment, who))
            until(lambda: not at_rest(case), site.story)


@EITHER_AT_TIMES
def test_disks_that_find_no_room_in_the_store_get_there_later(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "full") as case:
        site.ambush.lie_in_wait("storing", case.source.name)
        case.call("suspendVm")
        site.ambush.wait()
        case.tally.take_up()
        with full(site, "mnt/suspend"):
            site.ambush.release()
            site.until(lambda _: "The next try comes" in case.why())
            words = case.why()
        case.until_stored()
        case.call("resumeVm")
        close_the_row(matrix, case, ("store", "begun", "full disk"))

    assert "was not put into the image store" in words


@EITHER_AT_TIMES
def test_a_card_that_was_plugged_in_moves_along(site: StepwiseHosts, matrix: Matrix) -> None:
    with a_case(site, "card") as case:
        case.plug_a_card_in()
        case.until(S.RUNNING)
        bridge = case.source.run("ip", "-o", "link", "show", "master", "vmbr.999")
        case.migrate()
        site.until(lambda _: site.machine_of(case.instance) == case.target)
        close_the_row(matrix, case, ("move", "with a card that was plugged in", "nobody"))

        moved = case.target.run("ip", "-o", "link", "show", "master", "vmbr.999")
        assert bridge.count(f": tashi{case.instance}.") == 2
        assert moved.count(f": tashi{case.instance}.") == 2
        assert case.cards() == len(case.now().nics) == 2
        assert f"tashi{case.instance}." not in case.source.run("ip", "-o", "link")


def test_a_guest_whose_host_is_cut_off_while_it_is_emptied_is_left_once(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "drain") as case:
        [key] = [one.id for one in site.now().hosts if one.name == case.source.name]

        def drain() -> None:
            site.calls.call("drainHost", HostForm, host_id=key)

        ambushed(case, "sending", drain, BLOWS["source's cable"])
        site.until(
            lambda now: any(one.id == key and one.state is HostState.DRAINED for one in now.hosts)
        )
        close_the_row(matrix, case, ("drain", "sending memory", "source's cable"))
        assert site.machine_of(case.instance) == case.target
        site.calls.call("undrainHost", HostForm, host_id=key)
