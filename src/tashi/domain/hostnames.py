"""What may be the name of a host (RFC 1123, section 2.1)."""

import re
from typing import Final

from tashi.domain.errors import Refused

_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_LONGEST: Final = 253


def is_host_name(name: str) -> bool:
    """Whether this can be a host's name."""
    return bool(_HOST.match(name)) and len(name) <= _LONGEST and not name.isdigit()


def check_host_name(name: str) -> None:
    """Raise Refused unless this can be a host's name."""
    if not is_host_name(name):
        raise Refused(
            f"{name!r} is no host name: use labels of letters, digits and hyphens, joined by dots."
        )
