"""The pages that are made from the tables of the domain and the wire are as fresh as those."""

from pathlib import Path
from runpy import run_path
from types import ModuleType

import pytest

from tashi.domain import errors, metricpage
from tashi.domain import pages as domain
from tashi.domain.states import InstanceState
from tashi.domain.transitions import TABLE
from tashi.wire import methods
from tashi.wire import pages as wire

PAGES = {
    "doc/states.md": domain.page,
    "doc/rpc.md": wire.page,
    "doc/metrics.md": metricpage.page,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_fresh(name: str, checkout: Path) -> None:
    fresh = (checkout / name).read_text(encoding="utf-8") == PAGES[name]()

    assert fresh, f"{name} is stale: run `make docs` and commit it"


@pytest.mark.parametrize("module", [domain, wire, metricpage])
def test_a_generator_prints_its_page(
    module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run_path(str(module.__file__), run_name="__main__")

    assert capsys.readouterr().out == module.page()


def test_every_state_and_event_is_on_its_page() -> None:
    page = domain.page()

    missing = [state.title for state in InstanceState if f"| {state.title} |" not in page]
    unexplained = [rule.on.__name__ for rule in TABLE if f"| {rule.on.__name__} |" not in page]

    assert missing == []
    assert unexplained == []


def test_the_diagram_has_every_state_and_begins_and_ends() -> None:
    drawn = domain.diagram()

    assert all(state.title in drawn for state in InstanceState)
    assert "[*] --> Pending" in drawn
    assert "Exited --> [*]" in drawn


@pytest.mark.parametrize("name", [*methods.CLUSTER_MANAGER, *methods.NODE_MANAGER])
def test_every_call_is_on_its_page(name: str) -> None:
    assert f"| `{name}` |" in wire.page()


def test_every_error_is_on_its_page() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    page = wire.page()

    missing = [
        kind.__name__
        for kind in kinds
        if issubclass(kind, errors.TashiError)
        if kind is not errors.TashiError and f"| `{kind.__name__}` |" not in page
    ]

    assert missing == []


def test_every_form_that_is_named_is_explained() -> None:
    page = wire.page()

    named = {part.split(")")[0] for part in page.split("](#")[1:]} - {"who-may-call-what"}
    explained = {name.lower() for name in wire.form_names()}

    assert named <= explained
