"""Files that hold a password, for the eyes of who runs the daemon only."""

import stat
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured

_EVERYBODY: Final = stat.S_IROTH | stat.S_IWOTH


def password_in(file: Path, setting: str) -> str:
    """The first line of the file that `setting` names.

    Raises Misconfigured when it cannot be read, and when everybody can.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            if stat.S_IMODE(file.stat().st_mode) & _EVERYBODY:
                raise Misconfigured(f"{setting} {file} may be read by everybody: chmod 600 {file}")
            return lines.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise Misconfigured(f"{setting} {file} cannot be read ({why}).") from wrong
