"""What may be the name of a host."""

import pytest

from tashi.domain.errors import Refused
from tashi.domain.hostnames import check_host_name


@pytest.mark.parametrize("name", ["n1", "n-1.lab.example", "1a", "N1", "a" * 63, "127.0.0.1"])
def test_ordinary_names_pass(name: str) -> None:
    check_host_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "42", "-a", "a-", "a..b", ".a", "a.", "a b", "a\n", "a,b", "a;b", "a/b", "a_b", "né",
        "a" * 64, ".".join(["a" * 50] * 6), "n1\0", "٣a",
    ],
)  # fmt: skip
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="is no host name: use labels of letters, digits and hyphens"):
        check_host_name(name)
