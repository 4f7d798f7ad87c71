"""Which outlets the settings make, and what is refused of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tashi.domain.errors import Misconfigured
from tashi.ports.outlets import Outlet
from tashi.programs.outlets import chosen_outlets
from tashi.settings.load import load
from tashi.settings.search import Program

SECRET = "0123456789abcdef"


def chosen(folder: Path, sections: Mapping[str, Mapping[str, str]]) -> tuple[Outlet, ...]:
    """The outlets that such a configuration makes."""
    every = {"AccountingService": {"journal": str(folder / "journal")}, **sections}
    lines = []
    for section, values in every.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    (folder / "Accounting.cfg").write_text("\n".join(lines))
    return chosen_outlets(load(Program.ACCOUNTING, {"TASHI_CONFIG_DIRS": str(folder)}))


def test_the_log_is_always_there(tmp_path: Path) -> None:
    [log] = chosen(tmp_path, {})

    assert log.name == f"The log {tmp_path}/journal/accounting.log"


def test_every_outlet_is_spoken_of_without_its_secrets(tmp_path: Path) -> None:
    outlets = chosen(
        tmp_path,
        {
            "AccountingService": {
                "logFile": "/tmp/x.log",
                "tableUri": "mysql://tashi:hush@db/accounts",
            },
            "Webhooks": {
                "url1": "https://site.example/hook?token=hush",
                "secret1": SECRET,
                "url7": "http://127.0.0.1:8080/",
                "secret7": SECRET,
            },
        },
    )

    assert [one.name for one in outlets] == [
        "The log /tmp/x.log",
        "The table accounting in database accounts on db:3306",
        "Webhook https://site.example/hook",
        "Webhook http://127.0.0.1:8080/",
    ]


@pytest.mark.parametrize(
    ("webhooks", "words"),
    [
        ({"url1": "http://a/"}, r"url1 needs secret1 of at least 16 characters"),
        ({"url1": "http://a/", "secret1": "short"}, r"url1 needs secret1"),
        ({"secret2": SECRET}, r"secret2 is for no url: set url2"),
        (
            {"url1": "http://a/", "secret1": SECRET, "url2": "http://a/", "secret2": SECRET},
            r"url2 is the same as url1",
        ),
        ({"url1": "ftp://a/", "secret1": SECRET}, r"write an address such as https://"),
        ({"url1": "http://me:you@a/", "secret1": SECRET}, r"a user's name in it"),
        ({"url1": "http://a:99999/", "secret1": SECRET}, r"is no address of a receiver"),
        ({"url1": "http://a:0/", "secret1": SECRET}, r"is no address of a receiver"),
        ({"url1": "http://a/ b", "secret1": SECRET}, r"characters that stand in no address"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, webhooks: Mapping[str, str], words: str
) -> None:
    with pytest.raises(Misconfigured, match=words):
        chosen(tmp_path, {"Webhooks": webhooks})
