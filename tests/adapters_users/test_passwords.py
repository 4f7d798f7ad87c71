"""Tashi's own passwords in their file."""

import stat
from pathlib import Path

import pytest

from tashi.adapters.users.passwords import PasswordFile
from tashi.adapters.users.scrypted import ScryptedPasswords
from tashi.domain.catalogue import User
from tashi.domain.errors import PasswordsFailed
from tashi.domain.identity import UserId

ADA = User(UserId(500), "ada")


def passwords_in(path: Path) -> ScryptedPasswords:
    return ScryptedPasswords(PasswordFile(path))


def test_the_file_is_its_owners_alone_and_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    passwords_in(path).set(ADA, "open sesame")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"open sesame" not in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_password_is_kept_differently_each_time(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    table = passwords_in(path)
    table.set(ADA, "open sesame")
    first = path.read_bytes()

    table.set(ADA, "open sesame")

    assert path.read_bytes() != first


def test_what_another_wrote_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    ours, theirs = passwords_in(path), passwords_in(path)
    theirs.set(ADA, "open sesame")
    before = ours.proves(ADA, "open sesame")

    theirs.set(ADA, "close sesame")

    assert before
    assert not ours.proves(ADA, "open sesame")
    assert ours.proves(ADA, "close sesame")


@pytest.mark.parametrize(
    "content", ["", "{", '{"passwords": 7}', '{"passwords": [{"id": 1}]}', '{"\udcff": 7}']
)
def test_a_file_that_is_not_understood_proves_nothing_and_is_not_overwritten(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "passwords"
    path.write_text(content, errors="surrogateescape")
    table = passwords_in(path)

    for act in (table.has, table.forget, lambda user: table.set(user, "open sesame")):
        with pytest.raises(PasswordsFailed, match="cannot be understood"):
            act(ADA)
    assert path.read_text(errors="surrogateescape") == content


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(PasswordsFailed, match=f"The passwords in {tmp_path} cannot be read: Is a"):
        passwords_in(tmp_path).proves(ADA, "open sesame")


def test_where_it_cannot_be_written_the_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(PasswordsFailed, match=r"cannot be written: .*; see passwordTable in"):
        passwords_in(tmp_path / "none/passwords").set(ADA, "open sesame")


def test_one_that_others_may_read_is_complained_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "passwords"
    passwords_in(path).set(ADA, "open sesame")
    path.chmod(0o644)

    table = passwords_in(path)
    for _ in range(3):
        assert table.proves(ADA, "open sesame")

    (record,) = caplog.records
    assert record.getMessage() == (
        f"Others may read {path}, where passwords are kept: chmod 600 it."
    )
