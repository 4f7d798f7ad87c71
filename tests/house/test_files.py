"""What is kept in the repository, besides code."""

import re

import pytest

from house.source import TOP, refuse, tracked_files

CHANGE = re.compile(
    r"changes/[a-z0-9][a-z0-9-]*\.(added|changed|fixed|removed|security|upgrade)\.md"
)
MACHINE_PATH = re.compile(
    r"(?<![\w.$}/-])/(home/[a-z]|root/|work/|opt/(?!tashi)[a-z]|Users/)[\w./-]*"
)
PATHS_OF_THE_SET_UP_GUIDE = ("/root/cluster-admin/",)
HOSTS_OF_PACKAGES = re.compile(r"pypi\.org|pythonhosted|--index-url|--find-links|file://")
OUR_FILE = re.compile(r"`((?:src|tests|doc|etc|tools|bench)/[\w./-]+\.\w+)`")
BOXES = 10


def texts() -> list[tuple[str, str]]:
    """Every tracked text file but the licence and this one, with what it says."""
    found = []
    for name in tracked_files():
        if name not in {"LICENSE", "tests/house/test_files.py"}:
            try:
                found.append((name, (TOP / name).read_text()))
            except UnicodeDecodeError:
                continue
    return found


def test_decisions_are_numbered_in_turn() -> None:
    pages = [name for name in tracked_files() if name.startswith("doc/decisions/0")]
    numbers = [int(page.split("/")[2][:4]) for page in pages]

    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_every_change_file_has_a_name_that_can_be_collected() -> None:
    names = {n for n in tracked_files() if n.startswith("changes/")} - {"changes/README.md"}

    refuse(
        sorted(name for name in names if not CHANGE.fullmatch(name)),
        "Name it <what-it-is-about>.<kind>.md; changes/README.md lists the kinds.",
    )


def test_every_change_file_says_something() -> None:
    refuse(
        (n for n in tracked_files() if CHANGE.fullmatch(n) and not (TOP / n).read_text().strip()),
        "Write one to five sentences, seen from outside.",
    )


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    refuse(
        (
            f"{name}: {match[0]}"
            for name, text in texts()
            for match in MACHINE_PATH.finditer(text)
            if not match[0].startswith(PATHS_OF_THE_SET_UP_GUIDE)
        ),
        "Write paths relative to the checkout, or take them from a setting.",
    )


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-compiled.lock"])
def test_a_lock_file_names_no_place_to_fetch_from(name: str) -> None:
    lock = (TOP / name).read_text()

    assert not HOSTS_OF_PACKAGES.findall(lock), "Make it anew with `make lock`."
    assert lock.count("==") <= lock.count("--hash=sha256:"), "Every library is pinned by its hash."


def test_the_lock_file_that_everybody_installs_from_has_no_library_that_is_compiled() -> None:
    lock = (TOP / "requirements.lock").read_text()

    found = re.findall(r"^(?:libvirt-python|python-ldap)\b.*", lock, re.MULTILINE)

    assert not found, "Only `make compiled` may need a compiler: requirements-compiled.lock."


def test_every_checklist_has_ten_boxes_and_names_files_that_exist() -> None:
    findings = []
    for name in tracked_files():
        if name.startswith("doc/checklists/"):
            text = (TOP / name).read_text()
            boxes = text.count("- [ ] ")
            if boxes != BOXES:
                findings.append(f"{name}: {boxes} boxes")
            findings += [
                f"{name}: {place} does not exist"
                for place in OUR_FILE.findall(text)
                if not (TOP / place).exists()
            ]

    refuse(findings, f"A checklist has {BOXES} boxes and names what is there now.")
