"""A folder of configuration files, and the environment that makes Tashi look there."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Configure = Callable[..., Mapping[str, str]]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Write `Tashi.cfg` (and other files by name) and return the environment that names them."""

    def write(text: str = "", **others: str) -> Mapping[str, str]:
        files = {"Tashi": text} | others
        for name, content in files.items():
            (tmp_path / f"{name}.cfg").write_text(content, encoding="utf-8")
        return {"TASHI_CONFIG_DIRS": str(tmp_path)}

    return write
