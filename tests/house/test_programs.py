"""Every program that is installed starts, says how it is used, and shows its settings.

Whoever chooses neither libvirt nor LDAP needs neither of their libraries, which are compiled.
"""

import json
import subprocess
import sys
import tomllib

import pytest

from house.source import TOP
from tashi import __version__

METADATA = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
PROGRAMS: dict[str, str] = METADATA["scripts"]
COMPILED = ("libvirt", "libvirt_qemu", "ldap")


def call(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as its installed script would, with no configuration but the tree's own."""
    module, _, function = PROGRAMS[name].partition(":")
    start = (
        f"import sys; sys.argv[0] = {name!r}; "
        f"from {module} import {function} as main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", start, *arguments],
        cwd=TOP,
        env={
            "PYTHONPATH": str(TOP / "src"),
            "PATH": "/usr/bin:/bin",
            "TASHI_CONFIG_DIRS": str(TOP / "doc"),  # a folder without a configuration file
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_says_how_it_is_used(name: str) -> None:
    ended = call(name, "--help")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.lower().startswith(f"usage: {name.replace('primitive', 'scheduler')}")
    assert ended.stderr == ""


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_shows_its_settings_and_what_gave_them(name: str) -> None:
    ended = call(name, "--show-settings")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("[")
    assert "\n# default\n" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_shows_the_same_settings_as_json(name: str) -> None:
    ended = call(name, "--show-settings", "--output", "json")

    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown
    assert all({"value", "origin"} == set(key) for keys in shown.values() for key in keys.values())


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_says_its_version(name: str) -> None:
    ended = call(name, "--version")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.rstrip().endswith(f" {__version__}")


def test_every_program_opens_without_the_libraries_that_are_compiled() -> None:
    opened = ", ".join(script.partition(":")[0] for script in PROGRAMS.values())
    as_if_not_installed = f"import sys; sys.modules.update(dict.fromkeys({COMPILED!r}))"

    ended = subprocess.run(
        [sys.executable, "-c", f"{as_if_not_installed}; import {opened}"],
        env={"PYTHONPATH": str(TOP / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr


def test_the_set_up_links_every_program_into_bin() -> None:
    setup = (TOP / "tools/setup").read_text()
    linked = setup.split("programs='")[1].split("'")[0].split()

    assert set(linked) == set(PROGRAMS), "tools/setup and [project.scripts] name the same programs."
