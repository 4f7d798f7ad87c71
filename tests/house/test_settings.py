"""A setting that nobody reads promises something that does not happen."""

import re
from pathlib import Path
from typing import Final

from house.source import refuse
from tashi.settings import sections

NO_CHOICE: Final = {"dfs"}
"""Attributes of settings that take a single value, which the guide's files have."""


def test_every_setting_is_read(checkout: Path) -> None:
    source = checkout / "src/tashi"
    declared = source / "settings/sections"
    used = set(NO_CHOICE)
    for path in source.rglob("*.py"):
        reads = r"self\.(\w+)" if declared in path.parents else r"[.\"](\w+)"
        used.update(re.findall(reads, path.read_text()))

    refuse(
        (
            f"[{section.name}] {setting.key}"
            for section in map(sections.named, sections.CATALOGUE)
            for attribute, setting in section.settings.items()
            if attribute not in used
        ),
        "Read it, or list its key as obsolete with what replaced it.",
    )
