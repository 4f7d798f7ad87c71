"""What a machine says of itself, and what an admin says instead."""

import os
from pathlib import Path

import pytest

from tashi.adapters.system.machine import describe_machine
from tashi.domain.errors import Misconfigured


def test_a_machine_describes_itself() -> None:
    machine = describe_machine(reserved=0)

    assert machine.host_name == os.uname().nodename
    assert machine.memory > 0
    assert machine.cores >= 1
    assert len(machine.boot_id) == 36


def test_reserved_memory_is_not_for_guests() -> None:
    whole = describe_machine(reserved=0)

    assert describe_machine(reserved=100).memory == whole.memory - 100
    assert describe_machine(reserved=1 << 40).memory == 0


def test_what_an_admin_says_goes_before_what_the_machine_says(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("first\n")

    machine = describe_machine(
        reserved=512, host_name="node1", memory=2048, cores=3, boot_id_file=boot_id
    )

    assert (machine.host_name, machine.memory, machine.cores) == ("node1", 2048, 3)
    assert machine.boot_id == "first"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_boot_id_that_cannot_be_read_is_a_mistake(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "boot_id"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Misconfigured, match="boot_id"):
        describe_machine(reserved=0, boot_id_file=file)
