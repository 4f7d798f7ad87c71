"""When a certificate ends, read without the library that made it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import Office
from tashi.adapters.pki import authority
from tashi.adapters.pki.ending import end_of


@pytest.mark.parametrize("days", [1, 20, 9000])
def test_it_is_what_the_authority_said(tmp_path: Path, days: int) -> None:
    office = Office(tmp_path)
    folder = office.issued("user", "ada")
    lasts = authority.renew(office.folder, folder, days, datetime.now(UTC))

    assert end_of(folder / authority.CERTIFICATE) == lasts.until


def test_text_around_it_and_others_behind_it_do_not_matter(tmp_path: Path) -> None:
    office = Office(tmp_path)
    path = office.expired("user", "ada") / authority.CERTIFICATE
    until = end_of(path)
    path.write_text(f"of ada\n{path.read_text()}{(office.folder / 'ca-cert.pem').read_text()}")

    assert until is not None
    assert until < datetime.now(UTC)
    assert end_of(path) == until


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"nonsense", b"-----BEGIN CERTIFICATE-----\nMA=="]
)
def test_of_what_is_no_certificate_nothing_is_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "client-cert.pem"
    path.write_bytes(content)

    assert end_of(path) is None


def test_of_a_cut_off_one_nothing_is_known(tmp_path: Path) -> None:
    path = Office(tmp_path).issued("user", "ada") / authority.CERTIFICATE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], *lines[-1:]]))

    assert end_of(path) is None
    assert end_of(tmp_path / "nothing") is None
