"""Whatever dies where libvirt runs the guests, libvirtd too: one guest is left.

Like `test_fault_matrix`, on hosts that all cases share; the table is in
build/fault-matrix-libvirt.txt. A choice of cases is always tried, `--faults all` tries all.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from system.blows import Case, Matrix, a_case, ambushed, arrives_alone, close_the_row, printed
from system.libvirt_blows import (
    CROSSED,
    LOCAL_BLOWS,
    MOVE_BLOWS,
    MOVES_ALWAYS_TRIED,
    MOVING,
    NOBODY_KNOWS,
    RESTORES_ALWAYS_TRIED,
    RESUMING,
    SAVES_ALWAYS_TRIED,
    SHARED_ALWAYS_TRIED,
    SUSPENDING,
    SWITCHING,
    StepwiseLibvirtHosts,
    cells,
    crossing,
)
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt, pytest.mark.timeout(300)]

SHARING: Final = [one for one in MOVE_BLOWS if one not in {"cluster manager", "source's cable"}]
"""Who has a hand in a disk that both hosts see in the store."""

DISKS: Final = pytest.mark.parametrize(
    "persistent",
    [
        pytest.param(False, id="own disk"),
        pytest.param(True, id="persistent disk", marks=pytest.mark.every_fault),
    ],
)


@pytest.fixture
def site(stepwise_by_libvirt: StepwiseLibvirtHosts) -> Iterator[StepwiseLibvirtHosts]:
    with stepwise_by_libvirt.taken() as site:
        yield site


@pytest.fixture(scope="module")
def matrix(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """What came of every case, printed when all are over."""
    file = checkout / "build/fault-matrix-libvirt.txt"
    with printed("What is left of a guest under libvirt", file, request.config) as rows:
        yield rows


def check_a_move(case: Case, moment: str, who: str, matrix: Matrix) -> None:
    """Move a guest, strike at the moment, and see that it is left once, and on the right host."""
    blow = MOVE_BLOWS[who]
    MOVING[moment](case, case.migrate, blow)
    deaths = 1 if (moment, who) == NOBODY_KNOWS else blow.deaths
    place = close_the_row(matrix, case, (case.does("move"), moment, who), deaths)
    if moment in CROSSED and not deaths:
        assert place == case.target.name


@pytest.mark.parametrize(("moment", "who"), cells(MOVING, MOVE_BLOWS, MOVES_ALWAYS_TRIED))
def test_a_guest_that_moves_is_left_once(
    moment: str, who: str, site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    with a_case(site, "moved") as case:
        check_a_move(case, moment, who, matrix)


@pytest.mark.parametrize(("moment", "who"), cells(SWITCHING, SHARING, SHARED_ALWAYS_TRIED))
def test_a_guest_that_moves_with_its_disk_in_the_store_is_left_once(
    moment: str, who: str, site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    with a_case(site, "shared", persistent=True) as case:
        check_a_move(case, moment, who, matrix)


@pytest.mark.every_fault
def test_a_guest_runs_on_its_target_while_there_is_no_cluster_manager(
    site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    with a_case(site, "alone") as case:
        arrives_alone(case, "let in")
        close_the_row(matrix, case, ("move", "until long after", "cluster manager"))
        assert site.machine_of(case.instance) == case.target


@DISKS
@pytest.mark.parametrize(("moment", "who"), cells(SUSPENDING, LOCAL_BLOWS, SAVES_ALWAYS_TRIED))
def test_a_guest_that_is_saved_is_left_once(
    moment: str, who: str, persistent: bool, site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    blow = LOCAL_BLOWS[who]
    with a_case(site, "saved", persistent=persistent) as case:
        ambushed(case, SUSPENDING[moment], lambda: case.call("suspendVm"), blow)
        case.until(S.SUSPENDED, S.RUNNING)
        if case.now().state is S.SUSPENDED:
            case.call("resumeVm")
        close_the_row(matrix, case, (case.does("suspend"), moment, who), blow.deaths)


@DISKS
@pytest.mark.parametrize(("moment", "who"), cells(RESUMING, LOCAL_BLOWS, RESTORES_ALWAYS_TRIED))
def test_a_guest_that_is_restored_is_left_once(
    moment: str, who: str, persistent: bool, site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    blow = LOCAL_BLOWS[who]
    with a_case(site, "restored", persistent=persistent) as case:
        case.call("suspendVm")
        case.until(S.SUSPENDED)
        ambushed(case, RESUMING[moment], lambda: case.call("resumeVm"), blow)
        close_the_row(matrix, case, (case.does("resume"), moment, who), blow.deaths)


@pytest.mark.every_fault
def test_a_guest_whose_host_is_cut_off_while_it_is_emptied_is_left_once(
    site: StepwiseLibvirtHosts, matrix: Matrix
) -> None:
    with a_case(site, "drain") as case:
        [key] = [one.id for one in site.now().hosts if one.name == case.source.name]

        def drain() -> None:
            site.calls.call("drainHost", HostForm, host_id=key)

        crossing(case, drain, MOVE_BLOWS["source's cable"])
        site.until(
            lambda now: any(one.id == key and one.state is HostState.DRAINED for one in now.hosts)
        )
        close_the_row(matrix, case, ("drain", "sending memory", "source's cable"))
        assert site.machine_of(case.instance) == case.target
        site.calls.call("undrainHost", HostForm, host_id=key)
