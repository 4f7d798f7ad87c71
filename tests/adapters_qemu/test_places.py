"""Where a guest's files are: never shared by two nodes, never too long for a socket."""

from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.domain.errors import Misconfigured
from tashi.domain.identity import InstanceId

SCRATCH = Path("/scratch")
SEVEN = InstanceId(7)


def test_two_nodes_on_one_machine_share_no_overlay() -> None:
    one = Premises(Path("/info/one"), SCRATCH)
    other = Premises(Path("/info/other"), SCRATCH)

    assert one.disk(SEVEN, "0") != other.disk(SEVEN, "0")


def test_a_folder_whose_sockets_would_be_too_long_is_refused() -> None:
    limit = 107 - len("/9999999999/console.sock")
    fits = Path("/" + "x" * (limit - 1))

    Premises(fits, SCRATCH)

    with pytest.raises(Misconfigured, match=f"at most {limit} characters"):
        Premises(Path(f"{fits}x"), SCRATCH)
