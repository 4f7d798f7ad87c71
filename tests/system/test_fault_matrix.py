"""Whatever dies while a guest moves, is saved or is restored, at each moment: one guest is left.

What came of every case is printed at the end, and is in build/fault-matrix.txt; `blows` says how it
is done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
    close_the_row,
    full,
    printed,
    stepwise_hosts,
)
from system.counting import until
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

MOMENTS: Final = {
    "before": "sending",
    "standing still": "mirrored",
    "switching over": "continued",
    "left": "left",
    "after": "told",
}
"""The moments of a move: memory crosses, the vCPUs stand, QEMU was told to go on, that the guest
has left is written down, its target was told so and lets it run.
"""
SUSPENDING: Final = {"half written": "writing", "written": "written", "in its place": "kept"}
RESUMING: Final = {"half read": "reading", "read": "read", "marked as used": "used"}
STORING: Final = {"begun": "storing", "half done": "stored-part", "done": "stored"}


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepwiseHosts]:
    with stepwise_hosts(tmp_path_factory.mktemp("s")) as site:
        yield site


@pytest.fixture(scope="module")
def matrix(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """What came of every case, printed when all are over."""
    file = checkout / "build/fault-matrix.txt"
    with printed("What is left of a guest", file, request.config) as rows:
        yield rows


@pytest.mark.parametrize("who", BLOWS)
def test_a_guest_that_moves_is_left_once(who: str, site: StepwiseHosts, matrix: Matrix) -> None:
    for moment, step in MOMENTS.items():
        with a_case(site, step) as case:
            ambushed(case, step, case.migrate, BLOWS[who])
            close_the_row(matrix, case, ("move", moment, who), BLOWS[who].deaths)


def test_a_guest_whose_source_is_declared_dead_is_left_once(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in MOMENTS.items():
        with a_case(site, step) as case:
            ambushed(case, step, case.migrate, DECLARED_DEAD)
            close_the_row(matrix, case, ("move", moment, "source host, declared dead"), deaths=1)


@contextmanager
def unreachable(case: Case) -> Iterator[None]:
    """No word from the source reaches the target meanwhile; the cluster manager reaches both."""
    case.source.run("ip", "route", "add", "blackhole", case.target.address)
    yield
    case.source.run("ip", "route", "delete", "blackhole", case.target.address)


def test_a_guest_whose_sources_word_is_lost_runs_by_order(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "word") as case:
        site.ambush.lie_in_wait("left", case.source.name)
        case.migrate()
        site.ambush.wait()
        case.tally.take_up()
        with unreachable(case):
            site.ambush.release()
            case.until(S.RUNNING)
        close_the_row(matrix, case, ("move", "left", "the source's word"))
        assert site.machine_of(case.instance) == case.target


def test_a_guest_runs_on_its_target_while_there_is_no_cluster_manager(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "alone") as case:
        site.ambush.lie_in_wait("mirrored", case.source.name)
        case.migrate()
        site.ambush.wait()
        site.manager.kill()
        case.tally.take_up()
        site.ambush.release()
        until(lambda: case.runs_on(case.target), site.story)
        case.tally.take_up()
        case.tally.goes_on()
        site.manager.start()
        close_the_row(matrix, case, ("move", "until long after", "cluster manager"))
        assert site.machine_of(case.instance) == case.target


@pytest.mark.parametrize("who", LOCAL)
def test_a_guest_that_is_saved_is_left_once(who: str, site: StepwiseHosts, matrix: Matrix) -> None:
    for moment, step in SUSPENDING.items():
        with a_case(site, step) as case:
            ambushed(case, step, lambda: case.call("suspendVm"), LOCAL[who])
            case.until(S.SUSPENDED, S.RUNNING)
            if case.now().state is S.SUSPENDED:
                case.call("resumeVm")
            close_the_row(matrix, case, ("suspend", moment, who), LOCAL[who].deaths)


@pytest.mark.parametrize("who", LOCAL)
def test_a_guest_that_is_restored_is_left_once(
    who: str, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in RESUMING.items():
        with a_case(site, step) as case:
            case.call("suspendVm")
            case.until(S.SUSPENDED)
            ambushed(case, step, lambda: case.call("resumeVm"), LOCAL[who])
            close_the_row(matrix, case, ("resume", moment, who), LOCAL[who].deaths)


def test_a_full_disk_leaves_a_guest_that_is_to_be_saved_running(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "full") as case:
        with full(site, "mnt/suspend"):
            case.call("suspendVm")
            case.until(S.RUNNING)
            words = case.now().reason
        close_the_row(matrix, case, ("suspend", "writing", "full disk"))

    assert "was not suspended" in words


def test_a_full_disk_holds_a_guest_that_is_to_be_restored(
    site: StepwiseHosts, matrix: Matrix
) -> None:
    with a_case(site, "full") as case:
        case.call("suspendVm")
        case.until(S.SUSPENDED)
        # A mount hides what is still on the host, so its disks must be in the store by now.
        case.until_stored()
        with full(site, "own/scratch"):
            case.call("resumeVm")
            case.until(S.HELD)
            words = case.now().reason
        close_the_row(matrix, case, ("resume", "making disks", "full disk"))

    assert "cannot be" in words


def at_rest(site: StepwiseHosts) -> set[str]:
    """What the image store has of instances at rest, whole or not."""
    return {one.name for one in (site.images.parent / "suspend").iterdir()}


@pytest.mark.parametrize("who", ["node manager", "cluster manager"])
def test_a_guest_whose_disks_are_stored_is_left_once(
    who: str, site: StepwiseHosts, matrix: Matrix
) -> None:
    for moment, step in STORING.items():
        with a_case(site, step) as case:
            ambushed(case, step, lambda: case.call("suspendVm"), LOCAL[who])
            case.until_stored()
            whole = {f"{case.now().stored}.{part}" for part in ("disk0.qcow2", "console")}
            assert at_rest(site) == {case.now().saved, *whole}
            case.call("resumeVm")
            close_the_row(matrix, case, ("store", moment, who))
            site.until(lambda _: not at_rest(site))


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

        ambushed(case, "sending", drain, BLOWS["link between"])
        site.until(
            lambda now: any(one.id == key and one.state is HostState.DRAINED for one in now.hosts)
        )
        close_the_row(matrix, case, ("drain", "before", "link between"))
        assert site.machine_of(case.instance) == case.target
        site.calls.call("undrainHost", HostForm, host_id=key)
