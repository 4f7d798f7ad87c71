"""The words of the glossary are the words of the source; the picture names every folder."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from house.source import TOP, modules, refuse, tracked_files
from tashi.domain import typed
from tashi.domain.permissions import Who
from tashi.wire.methods import CLUSTER_MANAGER

GLOSSARY = "doc/glossary.md"
ROW = re.compile(r"\| \*\*(?P<word>[a-z ]+)\*\* \| (?P<meaning>[^|]+) \|(?P<instead>[^|]*)\|")


class Word(NamedTuple):
    word: str
    meaning: str
    instead: tuple[str, ...]


def words() -> list[Word]:
    rows = ROW.finditer((TOP / GLOSSARY).read_text(encoding="utf-8"))
    return [
        Word(
            row["word"],
            row["meaning"],
            tuple(one.strip() for one in row["instead"].split(",") if one.strip()),
        )
        for row in rows
    ]


def texts() -> list[tuple[str, str]]:
    pages = [
        (name, (TOP / name).read_text(encoding="utf-8"))
        for name in tracked_files()
        if Path(name).suffix == ".md" and name != GLOSSARY
    ]
    return [*pages, *((module.path, module.text) for module in modules("src"))]


def whole(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)


def test_the_glossary_is_in_order_and_explains_each_word_once() -> None:
    listed = [one.word for one in words()]

    assert len(listed) > 30, "The rows of the glossary are not read."
    assert listed == sorted(set(listed))


@pytest.mark.parametrize("word", words(), ids=lambda one: one.word)
def test_every_word_of_the_glossary_is_used(word: Word) -> None:
    used = any(whole(word.word).search(module.text) for module in modules("src"))

    assert used, f"Nothing is called {word.word!r} any more: take it out of {GLOSSARY}."


def test_nothing_is_called_by_another_word() -> None:
    instead = {other: one.word for one in words() for other in one.instead}

    refuse(
        (
            f"{path}: {other!r} is called {word!r}"
            for path, text in texts()
            for other, word in instead.items()
            if whole(other).search(text)
        ),
        f"One word for each thing: see {GLOSSARY}.",
    )


def test_the_picture_of_the_architecture_names_every_folder() -> None:
    page = (TOP / "doc/architecture.md").read_text(encoding="utf-8")
    folders = {
        str(Path(module.path).parent.relative_to("src/tashi")) for module in modules("src/tashi")
    }

    missing = [name for name in sorted(folders - {"."}) if f"| `{name}` |" not in page]
    gone = [name for name in re.findall(r"\| `([a-z/]+)` \|", page) if name not in folders]

    assert missing == [], "Say in doc/architecture.md what these folders are for."
    assert gone == [], "Take these folders out of doc/architecture.md."


def test_the_manual_names_all_that_operators_may_do() -> None:
    manual = (TOP / "doc/operations.md").read_text(encoding="utf-8")
    _, _, after = manual.partition("operators run the hosts\n(")
    named = re.findall(r"`(\w+)`", after.partition(")")[0])

    changes = [one for one in CLUSTER_MANAGER.values() if not one.name.startswith("get")]
    theirs = {typed.function(one.name) for one in changes if one.who is Who.OPERATOR}

    assert set(named) == theirs
