"""What the kernel does not let be removed is told; what is gone already is no harm."""

from errno import EBUSY, ENODEV
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from tashi.adapters.network.links import Link, Links, Refused

BRIDGE = Link(3, "vmbr.1", "bridge", "52:54:00:00:00:01", 1500, None, None, None, is_ours=True)


class Refusing:
    """A kernel that refuses every change, for that reason."""

    def __init__(self, code: int) -> None:
        self._code = code

    def link(self, *_asked: object, **_what: object) -> None:
        raise NetlinkError(self._code)


def links(code: int) -> Links:
    kernel: Any = Refusing(code)
    return Links(kernel)


def test_a_removal_that_is_refused_is_told() -> None:
    with pytest.raises(Refused, match="Device or resource busy"):
        links(EBUSY).remove(BRIDGE)


def test_what_is_gone_needs_no_removal() -> None:
    links(ENODEV).remove(BRIDGE)
