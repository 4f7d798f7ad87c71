"""Whole clusters are tried on every kind of store: their tests ask for `books`, or say why not."""

import re
from typing import Final

from house.source import TOP

_A_SITE: Final = re.compile(
    r"\b(?:(?:\w*Site|\w+Hosts|served|a_site|secure_site)\(|params=EITHER_HOSTS\b)"
)
_MANY: Final = "several machines, which differ in their networks and in what runs guests"
WITHOUT: Final = {
    "test_bad_files": "names the files and addresses of its books itself",
    "test_bridges_of_hosts": _MANY,
    "test_database_passwords": "is about databases that have passwords",
    "test_forty_guests": "writes its instances into the file before it starts",
    "test_full_disks": "fills the disk that the file is on",
    "test_guide_cluster": "has the books that the guide gives it",
    "test_ldap_people": "has its own place for what is not of the directory",
    "test_libvirt": "is about what one host does with its guests",
    "test_libvirt_hosts": _MANY,
    "test_many_hosts": _MANY,
    "test_passwords_taken_over": "shares a database between managers",
    "test_two_cluster_managers": "shares a database between managers",
    "test_unlucky_moves": _MANY,
}
SITES: Final = {
    path.stem: text
    for path in sorted((TOP / "tests/system").glob("test_*.py"))
    if _A_SITE.search(text := path.read_text())
}


def test_the_tests_of_sites_are_found() -> None:
    assert {"test_lifecycle", "test_crashes", "test_agreement", *WITHOUT} <= SITES.keys()


def test_a_site_is_tried_on_every_kind_of_store() -> None:
    without = {name for name, text in SITES.items() if "books: Place" not in text}

    assert without == WITHOUT.keys()
