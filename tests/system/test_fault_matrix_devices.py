"""Whatever dies while a device goes in or out, at each moment: books, QEMU and host agree on it.

Like `test_fault_matrix`, with libvirt too; the table is in build/fault-matrix-devices.txt.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from system.blows import (
    LOCAL,
    Case,
    Matrix,
    StepwiseHosts,
    a_case,
    ambushed,
    close_the_row,
    printed,
)
from system.libvirt_blows import LOCAL_BLOWS, dying, local_blows
from tashi.domain.states import InstanceState as S

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

IN: Final = {"begun": "plugging", "its file made": "disk made", "done": "plugged"}
OUT: Final = {"asked back": "asked back", "let go": "let go", "done": "plugged"}
"""What the guest was asked for it may let go of while nobody listens."""

Ask = Callable[[Case], None]


@pytest.fixture(scope="session")
def matrix(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """What came of every case, printed when all are over."""
    file = checkout / "build/fault-matrix-devices.txt"
    with printed("What is left of a guest's devices", file, request.config) as rows:
        yield rows


def count_devices(case: Case) -> int:
    """How many devices the books say that it has, when these have been held against the guest."""
    case.check_devices()
    return len(case.now().disks) + len(case.now().nics)


@dying(LOCAL, LOCAL_BLOWS, always={"libvirtd"})
@pytest.mark.parametrize(
    ("what", "ask"), [("a card", Case.plug_a_card_in), ("a disk", Case.plug_a_disk_in)]
)
def test_a_device_that_goes_in_is_in_everywhere_or_nowhere(
    what: str, ask: Ask, who: str, stepwise: StepwiseHosts, matrix: Matrix
) -> None:
    blow = local_blows(stepwise)[who]
    for moment, step in IN.items():
        if what == "a card" and step == "disk made":
            continue
        with a_case(stepwise, step.replace(" ", "-")) as case:
            ambushed(case, step, partial(ask, case), blow)
            close_the_row(matrix, case, (f"plug {what} in", moment, who), blow.deaths)
            assert count_devices(case) == 3 or who == "QEMU"


@dying(LOCAL, LOCAL_BLOWS)
@pytest.mark.parametrize(
    ("what", "plug", "ask"),
    [
        ("a card", Case.plug_a_card_in, Case.take_a_card_out),
        ("a disk", Case.plug_a_disk_in, Case.take_a_disk_out),
    ],
)
def test_a_device_that_goes_out_is_out_everywhere_or_nowhere(
    what: str, plug: Ask, ask: Ask, who: str, stepwise: StepwiseHosts, matrix: Matrix
) -> None:
    blow = local_blows(stepwise)[who]
    for moment, step in OUT.items():
        with a_case(stepwise, step.replace(" ", "-")) as case:
            plug(case)
            case.until(S.RUNNING)
            assert count_devices(case) == 3
            ambushed(case, step, partial(ask, case), blow)
            close_the_row(matrix, case, (f"take {what} out", moment, who), blow.deaths)
            assert count_devices(case) == 2 or who == "QEMU"
