"""nmd takes its pauses and its log from [Supervisor] in the files that its daemon reads."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SOURCES = Path(__file__).parents[2] / "src"
Nmd = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def configured(tmp_path: Path) -> Nmd:
    """Call nmd as it is installed, with etc/Tashi.cfg and other files in the folder it runs in."""

    def call(*arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "etc").mkdir()
        for name, text in files.items():
            (tmp_path / "etc" / f"{name}.cfg").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "tashi.programs.nmd", "--pid-file", "nmd.pid", *arguments],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "HOME": str(tmp_path)},
            text=True,
        )

    return call


def test_the_pauses_and_the_log_are_those_of_the_settings(configured: Nmd, tmp_path: Path) -> None:
    supervisor = "[Supervisor]\nfirstDelay = 0.01\nlongestDelay = 0.03\nlogFile = own.log\n"
    fails_four_times = "echo >> tries; [ $(wc -l < tries) -lt 5 ] || exit 2; exit 7"

    outcome = configured("sh", "-c", fails_four_times, Tashi=supervisor)

    pauses = re.findall(r"next start in (.*) s\.", (tmp_path / "own.log").read_text())
    assert outcome.returncode == 2
    assert pauses == ["0.01", "0.02", "0.03", "0.03"]


@pytest.mark.parametrize(
    ("daemon", "file"), [("clustermanager", "ClusterManager"), ("scheduler", "Agent")]
)
def test_the_settings_are_taken_from_the_files_of_the_daemon(
    configured: Nmd, daemon: str, file: str
) -> None:
    files = {
        "NodeManager": "[Supervisor]\nfirstDelay = 5\n",
        file: "[Supervisor]\nfirstDelay = 3\n",
    }

    outcome = configured("--show-settings", daemon, **files)

    assert outcome.stdout == (
        f"[Supervisor]\n# etc/{file}.cfg:2\nfirstDelay = 3\n"
        "# default\nlongestDelay = 30.0\n# default\n# logFile =\n"
    )


def test_settings_that_cannot_be_are_refused_before_anything_starts(
    configured: Nmd,
) -> None:
    outcome = configured("-f", "true", Tashi="[Supervisor]\nfirstDelay = 99\n")

    assert outcome.returncode == 2
    assert outcome.stderr == (
        "nmd: The first delay (99 s) must be above 0 and at most the longest delay (30 s).\n"
    )


def test_a_daemon_can_be_stopped_while_the_configuration_is_wrong(
    configured: Nmd, tmp_path: Path
) -> None:
    outcome = configured("--stop", Tashi="[Supervisor]\nfirstDelya = 1\n")

    assert outcome.returncode == 1
    assert outcome.stderr == f"nmd: No nmd is running here: nobody holds {tmp_path}/nmd.pid.\n"
