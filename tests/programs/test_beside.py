"""What a node says of its machine when others run guests on it, too."""

import pytest

from tashi.domain.host import Machine
from tashi.domain.identity import Mib
from tashi.ports.hypervisor import Others
from tashi.programs.nodemanager import beside
from tashi.settings.sections.nodemanager import NodeManagerSettings

MACHINE = Machine(
    name="host1",
    memory=Mib(4000),
    cores=8,
    version="1",
    address="host1",
    port=9883,
    boot_id="one",
)


@pytest.mark.parametrize(
    ("set_by_hand", "others", "left"),
    [
        ({}, Others(), (4000, 8)),
        ({}, Others(3, Mib(1000)), (3000, 5)),
        ({}, Others(9, Mib(5000)), (0, 0)),
        ({"memory": 2000}, Others(3, Mib(1000)), (4000, 5)),
        ({"cores": 4}, Others(3, Mib(1000)), (3000, 8)),
    ],
)
def test_a_machine_offers_what_others_leave_unless_it_is_told_what_it_has(
    set_by_hand: dict[str, int], others: Others, left: tuple[int, int]
) -> None:
    told = beside(MACHINE, others, NodeManagerSettings(**set_by_hand))  # type: ignore[arg-type]

    assert (told.memory, told.cores) == left
