"""How administrators write where a database is."""

from pathlib import Path

import pytest

from tashi.adapters.store.sql.address import MYSQL, SQLITE, Address, address_of
from tashi.domain.errors import Misconfigured


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("mysql://tashi@db/books", Address(kind=MYSQL, user="tashi", host="db", database="books")),
        (
            "mysql://t:s%40cret@h:33/b",
            Address(kind=MYSQL, user="t", password="s@cret", host="h", port=33, database="b"),
        ),
        ("mysql://t@[::1]/b", Address(kind=MYSQL, user="t", host="::1", database="b")),
        ("sqlite:///var/lib/tashi/books", Address(kind=SQLITE, path=Path("/var/lib/tashi/books"))),
        ("sqlite:////var/books", Address(kind=SQLITE, path=Path("/var/books"))),
    ],
)  # fmt: skip
def test_a_uri_is_read(uri: str, meant: Address) -> None:
    assert address_of(uri) == meant


def test_a_password_given_beside_the_uri_goes_before_the_one_in_it() -> None:
    assert address_of("mysql://u:old@h/db", password="new").password == "new"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("postgres://u:hidden@h/db", "for no database that Tashi knows"),
        ("mysql://u:hidden@h", "names not a database"),
        ("mysql://h/db", "names not a user"),
        ("mysql://u:hidden@h:port/db", "cannot be read"),
        ("mysql://u:hidden@h/db/more", "more behind the database's name"),
        ("mysql://u:hidden@h/db?ssl=1", "more behind the database's name"),
        ("mysql://u:hidden@a..b/db", "names a host that there cannot be"),
        (f"mysql://u:hidden@{'a' * 64}/db", "names a host that there cannot be"),
        ("sqlite://", "names not a path"),
        ("sqlite:///a%0Ab", "a character that cannot be printed"),
    ],
)
def test_a_uri_that_makes_no_sense_is_refused_without_its_password(uri: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as refused:
        address_of(uri)

    assert "hidden" not in refused.value.message


def test_an_address_is_shown_without_its_password() -> None:
    address = address_of("mysql://u:hidden@h/db")

    assert "hidden" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    ("uri", "local"),
    [("mysql://u@localhost/b", True), ("mysql://u@10.0.0.9/b", False), ("sqlite:///b", True)],
)
def test_what_stays_on_this_machine_is_known(uri: str, local: bool) -> None:
    assert address_of(uri).is_local is local
