"""Pretended machines: what they have for themselves, and that nothing of them stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Misconfigured
from tashi.programs.demo.machines import claims
from tashi.programs.demo.machines.lab import Lab, Machine
from tashi.programs.demo.machines.namespace import NAMED

COMMANDS = SystemCommands()
MADE_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from tashi.adapters.system.commands import SystemCommands
from tashi.programs.demo.machines.lab import Lab
lab = Lab(Path(sys.argv[1]), SystemCommands(), keeper=os.getpid())
lab.make()
print(lab.number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def lab(short_path: Path) -> Iterator[Lab]:
    lab = Lab(short_path, COMMANDS, keeper=os.getpid())
    yield lab
    lab.remove()


def traces_of(number: int) -> list[str]:
    """Whatever the kernel still has of a set of machines."""
    namespaces = [path.name for path in NAMED.glob(f"tashi{number}-*")]
    devices = [path.name for path in Path("/sys/class/net").glob(f"tashinet{number}")]
    taken = [str(number) for one, _ in claims.claims() if one == number]
    return namespaces + devices + taken


def mounts_below(folder: Path) -> list[str]:
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in mounts if f"{folder}/" in line]


def answers(host: Machine) -> bool:
    """Whether a machine is reached from this one."""
    ping = ["ping", "-c", "1", "-W", "1", host.address]
    return subprocess.run(ping, check=False, capture_output=True).returncode == 0


def answers_again(host: Machine) -> bool:
    """Whether a machine is reached once its cable has been noticed."""
    return any(answers(host) for _ in range(60))


def test_each_machine_has_a_name_an_address_a_disk_and_an_etc_of_its_own(lab: Lab) -> None:
    lab.make()
    for host in lab.hosts:
        host.run("touch", f"{lab.home}/own/scratch/{host.name}", f"/etc/qemu-ifup.{host.name}")

    assert [host.run("hostname") for host in lab.hosts] == ["host1\n", "host2\n", "host3\n"]
    assert len({host.run("cat", f"{lab.home}/own/boot-id") for host in lab.hosts}) == 3
    for host in lab.hosts:
        assert host.run("ls", f"{lab.home}/own/scratch") == f"{host.name}\n"
        scripts = host.run("find", "/etc", "-maxdepth", "1", "-name", "qemu-ifup.[0-9h]*").split()
        assert sorted(scripts) == [
            "/etc/qemu-ifup.1001", "/etc/qemu-ifup.999", f"/etc/qemu-ifup.{host.name}",
        ]  # fmt: skip
        assert answers(host)
    assert not Path("/etc/qemu-ifup.host1").exists()


def test_a_second_making_changes_nothing_and_what_is_missing_is_made_again(lab: Lab) -> None:
    lab.make()
    before = [host.namespace.processes() for host in (lab.switch, *lab.hosts)]

    lab.make()
    after = [host.namespace.processes() for host in (lab.switch, *lab.hosts)]
    lab.cut_power(lab.hosts[1])
    gone = answers(lab.hosts[1])
    lab.make()

    assert after == before
    assert not gone
    assert answers_again(lab.hosts[1])
    assert lab.hosts[0].namespace.processes() == before[1]


def test_a_cable_that_is_pulled_cuts_one_host_off_and_the_image_server_is_lost_by_one_alone(
    lab: Lab,
) -> None:
    first = lab.hosts[0]
    lab.make()
    (lab.home / "store/images/one").write_text("1")

    lab.unplug(first)
    first.lose_store()
    reached = [answers(host) for host in lab.hosts]
    seen = [host.run("ls", str(lab.home / "mnt")) != "" for host in lab.hosts]
    lab.plug(first)
    first.find_store()

    assert reached == [False, True, True]
    assert seen == [False, True, True]
    assert all(answers_again(host) for host in lab.hosts)
    assert first.run("cat", f"{lab.home}/mnt/images/one") == "1"


def test_nothing_is_left_of_machines_that_are_removed(lab: Lab) -> None:
    lab.make()
    with subprocess.Popen([*lab.hosts[0].inside(), "sleep", "300"]) as forgotten:
        lab.remove()
        lab.remove()

    assert forgotten.returncode == -signal.SIGKILL
    assert traces_of(lab.number) == []
    assert mounts_below(lab.home) == []


def test_machines_of_a_process_that_was_killed_go_when_the_next_are_made(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    theirs = tmp_path_factory.mktemp("s")
    killed = subprocess.run(
        [sys.executable, "-c", MADE_AND_KILLED, str(theirs)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    number = int(killed.stdout)
    left = traces_of(number)

    lab.make()

    assert killed.returncode == -signal.SIGKILL
    assert len(left) == 6, "a switch, three hosts, a cable, a claim"
    assert traces_of(number) == []
    assert lab.number != number


def test_several_sets_stand_side_by_side(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Lab(tmp_path_factory.mktemp("s"), COMMANDS, hosts=1, keeper=os.getpid())
    try:
        lab.make()
        other.make()

        assert other.network != lab.network
        assert answers(lab.hosts[0])
        assert answers(other.hosts[0])
    finally:
        other.remove()
    assert answers(lab.hosts[0])


def test_without_root_it_is_said_that_root_is_needed(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # this run may be root's only

    with pytest.raises(Misconfigured) as refused:
        Lab(short_path, COMMANDS)

    assert refused.value.message == (
        "Several hosts on one machine take network namespaces: be root."
    )
