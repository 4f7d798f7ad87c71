"""tashi-admin's words about certificates, as they are understood."""

import pytest

from tashi.client.arguments import Misused, read_all
from tashi.client.certificates import DAYS


@pytest.mark.parametrize("typed", ["0", "-1", "3651", "0000000019999999", "9" * 5000, "x", ""])
def test_no_certificate_lasts_for_other_than_so_many_days(typed: str) -> None:
    with pytest.raises(Misused, match=r"--days takes "):
        read_all([DAYS], {"days": typed})


def test_days_are_read_as_they_are_written() -> None:
    assert read_all([DAYS], {"days": "0365"})[DAYS] == 365
