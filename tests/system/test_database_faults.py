"""A database has every fault once under load, and nothing that was acknowledged is lost or doubled.

A few rounds of what `database_faults.py` does by hand for as long as one likes.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from system import database_faults
from system.database_faults import ANYWHERE, ON_A_SMALL_DISK, Fault

SEED = 20_261
LASTING_SECONDS = 3.0  # longer than the database is waited for


@pytest.mark.parametrize("faults", [ANYWHERE, ON_A_SMALL_DISK], ids=["anywhere", "on-a-small-disk"])
def test_whatever_befalls_the_database_nothing_is_lost_or_doubled_and_calls_are_told_why(
    short_path: Path, faults: Sequence[Fault]
) -> None:
    report = database_faults.go_through(short_path, faults, random.Random(SEED), LASTING_SECONDS)

    assert not report.broken, f"{report.story}\n{report}\n{database_faults.reasons(report)}"
    assert report.told.destroyed
    assert report.told.reasons
