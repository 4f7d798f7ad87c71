"""What is kept of a password, and what it proves."""

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.passwords import PasswordLine, hashed

SALT = bytes(range(16))


def test_what_is_kept_is_of_its_password_and_of_no_other() -> None:
    kept = hashed("open sesame", SALT)

    assert kept.is_of("open sesame")
    assert not kept.is_of("open sesam")


def test_another_salt_makes_something_else_of_the_same_password() -> None:
    assert hashed("open sesame", SALT).hash != hashed("open sesame", SALT[::-1]).hash


def test_a_line_is_its_users_and_shows_nothing_in_messages() -> None:
    line = PasswordLine(UserId(500), "ada", hashed("open sesame", SALT))

    assert line.user == User(UserId(500), "ada")
    assert "hash=" not in repr(line)
    assert "salt=" not in repr(line)
