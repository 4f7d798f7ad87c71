"""A bench that takes real guests, run as briefly as can be, so that whoever measures can do so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.qemu


def test_moves_are_measured_beside_moves_by_hand(checkout: Path, guest_image: Path) -> None:
    bench = [sys.executable, str(checkout / "bench/migrate.py"), "--image", str(guest_image)]

    ended = subprocess.run(
        [*bench, "--rounds", "1", "--output", "json"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["moves each way"] == 1
    assert [(row["disks"], row["way"]) for row in said["rows"]] == [
        (disks, way) for disks in ("shared", "local") for way in ("Tashi", "by hand", "hasty hand")
    ]
    assert all(row["gap ms"] > 0 and row["total s"] > 0 for row in said["rows"])
