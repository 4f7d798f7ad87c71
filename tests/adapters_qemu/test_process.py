"""Which processes are guests' QEMUs by their command lines: no stranger's, whatever it bears."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.process import folders_marked, former_places

NOBODY = 65534


@contextmanager
def bearing(pid_file: Path, *more: str, user: int | None = None) -> Iterator[None]:
    """While a process lives that was told to write this pid file, as far as one can see."""
    waits = ("sh", "-c", "echo; read line", "sh", "-pidfile", str(pid_file), *more)
    pipe = subprocess.PIPE
    with subprocess.Popen(waits, stdin=pipe, stdout=pipe, cwd="/", user=user) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_a_qemu_is_found_by_its_mark_though_its_folder_is_gone(tmp_path: Path) -> None:
    with bearing(tmp_path / "7" / "pid"):
        assert list(folders_marked(tmp_path)) == [tmp_path / "7"]


@pytest.mark.parametrize("name", ["stray", "7.old", "²"])
def test_a_mark_that_names_no_instance_is_of_no_guest(name: str, tmp_path: Path) -> None:
    with bearing(tmp_path / name / "pid"):
        assert list(folders_marked(tmp_path)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can begin processes of others")
def test_what_another_user_runs_is_no_guest_of_ours(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    elsewhere = tmp_path / "elsewhere"
    theirs, disk = elsewhere / "7" / "pid", str(scratch / "tashi-1" / "7.0.qcow2")
    with (
        bearing(tmp_path / "7" / "pid", user=NOBODY),
        bearing(theirs, disk, user=NOBODY),
    ):
        assert list(folders_marked(tmp_path)) == []
        assert former_places(tmp_path, scratch) == set()
    with bearing(theirs, disk):
        assert former_places(tmp_path, scratch) == {elsewhere}
