"""What is for systemd is sound: units keep what nmd would have kept, and what is kept stays."""

import configparser
import subprocess
from pathlib import Path

import pytest

from tashi.settings.sections.qemu import QemuSettings
from tashi.settings.sections.stores import PickledSettings

ETC = Path(__file__).parents[2] / "etc"
UNITS = sorted((ETC / "systemd").glob("*.service"))


def service(path: Path) -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(path)
    return unit["Service"]


def test_every_daemon_has_a_unit() -> None:
    assert [path.stem for path in UNITS] == [
        "tashi-accounting",
        "tashi-clustermanager",
        "tashi-nodemanager",
        "tashi-scheduler",
    ]


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_accepts_the_unit_without_a_word(path: Path) -> None:
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, check=False, text=True
    )

    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_its_daemon_and_gives_up_only_on_a_configuration_error(path: Path) -> None:
    unit = service(path)

    assert unit["ExecStart"] == f"/usr/bin/env {path.stem.removeprefix('tashi-')}"
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"] == "2"


def test_guests_outlive_the_node_managers_unit() -> None:
    (path,) = (path for path in UNITS if path.stem == "tashi-nodemanager")

    unit = service(path)

    assert (unit["KillMode"], unit["OOMPolicy"]) == ("process", "continue")


@pytest.mark.system
@pytest.mark.timeout(300)
def test_what_lies_in_its_usual_place_is_not_cleaned_away(tmp_path: Path) -> None:
    books, info = PickledSettings().file, QemuSettings().info_dir
    kept = [books, books.with_name(f"{books.name}.lock"), info / "7/lock", info / "notes/7.json"]
    for path in (*kept, Path("/var/tmp/other")):
        there = tmp_path / path.relative_to("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.touch()
    (tmp_path / "all.conf").write_text("d /var/tmp 1777 - - 0\n")

    subprocess.run(
        ["systemd-tmpfiles", "--clean", f"--root={tmp_path}", tmp_path / "all.conf",
         ETC / "tmpfiles.d/tashi.conf"],
        check=True,
    )  # fmt: skip

    left = (tmp_path / "var/tmp").rglob("*")
    assert {Path("/") / one.relative_to(tmp_path) for one in left if one.is_file()} == set(kept)
