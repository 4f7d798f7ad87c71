"""Every benchmark has the same command line, and the page beside it says how to read it."""

import subprocess
import sys
from pathlib import Path

import pytest

from house.source import TOP

BENCHES = sorted((TOP / "bench").glob("*.py"))
PAGE = (TOP / "bench/README.md").read_text()


@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.stem)
def test_a_bench_can_be_quick_and_print_json(bench: Path) -> None:
    ended = subprocess.run(
        [sys.executable, bench, "--help"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "--quick" in ended.stdout
    assert "--output {table,json}" in ended.stdout


@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.stem)
def test_a_bench_is_explained(bench: Path) -> None:
    assert f"\n## {bench.name}\n" in PAGE
