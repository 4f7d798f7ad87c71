"""The files that are made from the declared settings are as fresh as the declarations."""

from pathlib import Path

import pytest

from tashi.settings.pages import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_file_is_fresh(name: str, checkout: Path) -> None:
    fresh = (checkout / name).read_text(encoding="utf-8") == PAGES[name]()

    assert fresh, f"{name} is stale: run `python -m tashi.settings.pages` and commit it"
