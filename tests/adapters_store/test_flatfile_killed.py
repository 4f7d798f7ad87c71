"""A flat file whose owner is killed, at every step and at any moment, loses nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters_store import owner
from contracts.commits import after, held
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.steps import Step
from tashi.domain.errors import Refused

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROUNDS = 3
DEADLY = [step for step in Step if step is not Step.BEFORE_CUT]  # nothing is cut without an error


@contextmanager
def an_owner(path: Path, step: str, times: int) -> Iterator[subprocess.Popen[bytes]]:
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, owner.__file__, str(path), step, str(times)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
    )
    with process:
        yield process
        process.kill()


def acknowledged_until_death(process: subprocess.Popen[bytes], kill_after: int = 0) -> int:
    """The last commit that the owner was told is durable; it is killed after so many."""
    assert process.stdout is not None
    number = 0
    for seen, line in enumerate(process.stdout, start=1):
        number = int(line)
        if seen == kill_after:
            process.kill()
    assert process.wait() == -9
    return number


def check(path: Path, acknowledged: int) -> int:
    """Load the file and compare it with what its owners were told; gives its last number."""
    store = FlatFile(path)
    try:
        kept = store.load()
    finally:
        store.close()
    assert acknowledged <= kept.number <= acknowledged + 1
    assert held(kept) == after([owner.nth_commit(n + 1) for n in range(kept.number)])
    return kept.number


@pytest.mark.parametrize("step", DEADLY)
def test_an_owner_that_dies_at_a_step_has_lost_nothing_acknowledged(
    tmp_path: Path, step: Step
) -> None:
    path = tmp_path / "cm.dat"
    number = 0

    for times in range(1, ROUNDS + 1):
        with an_owner(path, step, times) as process:
            acknowledged = acknowledged_until_death(process)
        number = check(path, max(number, acknowledged))


def test_an_owner_that_dies_at_any_moment_has_lost_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "cm.dat"
    number = 0

    for seen in (1, 7, 30, 100, 250):
        with an_owner(path, "never", 1) as process:
            acknowledged = acknowledged_until_death(process, kill_after=seen)
        number = check(path, max(number, acknowledged))

    assert number > 0


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "cm.dat"
    with an_owner(path, "never", 1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        store = FlatFile(path)
        with pytest.raises(Refused, match=f"process {process.pid}"):
            store.load()

        acknowledged_until_death(process, kill_after=1)

    assert store.load().number > 0
    store.close()
