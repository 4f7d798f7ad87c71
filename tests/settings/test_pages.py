"""The generated files are true: the defaults load to the defaults, the page has every key."""

import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tashi.settings import pages, sections
from tashi.settings.declare import describe, section, setting
from tashi.settings.kinds import flag
from tashi.settings.load import load
from tashi.settings.search import Program

Configure = Callable[..., Mapping[str, str]]


@section("Page")
class PageSettings:
    """What a page can show."""

    old: bool = setting(
        "new", flag, default=True, words="Either a|b or <c>.", formerly=("old",), variable="NEW"
    )


@pytest.mark.parametrize("program", Program)
def test_the_generated_defaults_change_nothing(configure: Configure, program: Program) -> None:
    settings = load(program, configure(pages.defaults_file()))

    for name in sections.USED_BY[program]:
        made = sections.named(name).make
        assert settings.of(made) == made()
    assert settings.logging() == load(program, configure("")).logging()
    assert settings.warnings == ()


def test_the_page_names_every_key_and_every_section() -> None:
    page = pages.page()

    for name in sections.CATALOGUE:
        described = sections.named(name)
        assert f"\n## [{name}]\n" in page
        for key in described.settings.values():
            assert f"| `{key.key}` |" in page
        for family in described.families.values():
            assert f"| `{family.key}<N>` |" in page
        for old in described.obsolete:
            assert f"| `{old}` |" in page


def test_a_row_tells_of_former_names_and_variables_and_escapes_what_markdown_reads() -> None:
    shown = pages.page_section(describe(PageSettings))

    assert (
        "Either a\\|b or &lt;c>. The environment variable `NEW` goes before every file. "
        "Formerly `old`." in shown
    )


def test_run_as_a_program_it_writes_what_its_arguments_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pages", "doc/settings.md"])

    runpy.run_path(pages.__file__, run_name="__main__")

    assert (tmp_path / "doc" / "settings.md").read_text() == pages.page()


def test_the_files_that_are_named_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("etc", "doc"):
        (tmp_path / folder).mkdir()

    pages.main(["doc/settings.md"])
    alone = sorted(path.name for path in tmp_path.rglob("*.*"))
    pages.main([])

    assert alone == ["settings.md"]
    assert (tmp_path / "etc" / "TashiDefaults.cfg").read_text() == pages.defaults_file()
