"""What every hook promises: it is told of both ends, and says in time that it fails or hangs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples import waiting
from fakes.hooks import FakeHook
from tashi.adapters.hooks.programs import FolderHook, ProgramHook, class_hook
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HookFailed
from tashi.ports.hooks import Hook

SECONDS = 60.0
_SHELL = """#!/bin/sh
printf '%s ' "$1" >> "{told}"
sed 's/.*"name":"\\([^"]*\\)".*/\\1/' >> "{told}"
{then}
"""
_CLASS = """
class Notes:
    def preCreate(self, instance): self.note("preCreate", instance)
    def postDestroy(self, instance): self.note("postDestroy", instance)
    def note(self, event, instance):
        with open({told!r}, "a") as file:
            file.write(event + " " + instance["name"] + "\\n")
        {then}
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A hook, and what it was told, line by line."""

    hook: Hook
    lines: Callable[[], list[str]]


def script(path: Path, told: Path, then: str = "") -> Path:
    path.write_text(_SHELL.format(told=told, then=then))
    path.chmod(0o755)
    return path


def module(folder: Path, told: Path, then: str = "pass") -> Path:
    (folder / "site_notes.py").write_text(_CLASS.format(told=str(told), then=then))
    return folder


def read(path: Path) -> Callable[[], list[str]]:
    return lambda: path.read_text().splitlines() if path.exists() else []


def a_program(folder: Path, *, fails: bool) -> Told:
    path = script(folder / "hook", folder / "told", "echo no >&2; exit 3" if fails else "")
    hook = ProgramHook("Hook program", [str(path)], SystemCommands(), SECONDS)
    return Told(hook, read(folder / "told"))


def a_folder(folder: Path, *, fails: bool) -> Told:
    (folder / "d").mkdir()
    if fails:
        script(folder / "d" / "10-bad", folder / "ignored", "exit 3")
    script(folder / "d" / "20-good", folder / "told")
    (folder / "d" / "README").write_text("not executable")
    return Told(FolderHook(folder / "d", SystemCommands(), SECONDS), read(folder / "told"))


def a_class(folder: Path, *, fails: bool) -> Told:
    module(folder, folder / "told", "raise ValueError('no')" if fails else "pass")
    hook = class_hook("site_notes.Notes", folder, SystemCommands(), SECONDS)
    return Told(hook, read(folder / "told"))


def a_fake(_: Path, *, fails: bool) -> Told:
    hook = FakeHook(fails=fails)
    return Told(hook, lambda: hook.told)


Make = Callable[..., Told]
EVERY = pytest.mark.parametrize("make", [a_program, a_folder, a_class, a_fake])


@EVERY
def test_it_is_told_of_both_ends(make: Make, tmp_path: Path) -> None:
    told = make(tmp_path, fails=False)

    told.hook.pre_create(waiting(1))
    told.hook.post_destroy(waiting(1))

    assert told.lines() == ["preCreate i1", "postDestroy i1"]


@EVERY
def test_one_that_fails_says_so(make: Make, tmp_path: Path) -> None:
    told = make(tmp_path, fails=True)

    with pytest.raises(HookFailed):
        told.hook.pre_create(waiting(1))
    assert told.hook.name


def test_a_program_that_fails_does_not_stop_the_others_of_its_folder(tmp_path: Path) -> None:
    told = a_folder(tmp_path, fails=True)

    with pytest.raises(HookFailed, match="10-bad"):
        told.hook.post_destroy(waiting(1))

    assert told.lines() == ["postDestroy i1"]


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(HookFailed, match="cannot be read"):
        FolderHook(tmp_path / "none", SystemCommands(), SECONDS).pre_create(waiting(1))


def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    path = script(tmp_path / "hook", tmp_path / "told", "sleep 600")
    begun = time.monotonic()

    with pytest.raises(HookFailed):
        ProgramHook("Hook slow", [str(path)], SystemCommands(), 0.2).pre_create(waiting(1))

    assert time.monotonic() - begun < SECONDS


def test_one_that_never_stops_talking_is_killed_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    script(folder / "10-babbles", tmp_path / "told", "yes")
    script(folder / "20-good", tmp_path / "told")

    with pytest.raises(HookFailed, match=r"10-babbles: .* said more than 32 MiB and was killed"):
        FolderHook(folder, SystemCommands(), SECONDS).pre_create(waiting(1))

    assert read(tmp_path / "told")() == ["preCreate i1"] * 2


def test_a_file_that_is_not_executable_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "notify.sh").write_text("#!/bin/sh\n")
    (tmp_path / ".notes").touch()
    hook = FolderHook(tmp_path, SystemCommands(), SECONDS)

    hook.pre_create(waiting(1))
    hook.post_destroy(waiting(1))

    [record] = caplog.records
    assert record.getMessage() == (
        f"{tmp_path}/notify.sh is not run, for it is not executable: chmod +x it, or let its name "
        "begin with a dot."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("os.system", "hookPath has no file"), ("site_notes.Missing", "has no class Missing")],
)
def test_a_name_leads_to_nothing_but_a_class_in_that_folder(
    tmp_path: Path, name: str, words: str
) -> None:
    module(tmp_path, tmp_path / "told")

    with pytest.raises(HookFailed, match=words):
        class_hook(name, tmp_path, SystemCommands(), SECONDS).pre_create(waiting(1))


def test_a_module_may_have_dataclasses_with_annotations_of_later(tmp_path: Path) -> None:
    told = tmp_path / "told"
    module(tmp_path, told)
    path = tmp_path / "site_notes.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        f"@dataclass\nclass Note:\n    words: str = ''\n{path.read_text()}"
    )

    class_hook("site_notes.Notes", tmp_path, SystemCommands(), SECONDS).pre_create(waiting(1))

    assert read(told)() == [f"preCreate {waiting(1).name}"]
