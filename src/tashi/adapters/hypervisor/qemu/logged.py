"""Jobs whose outcome nobody waits for: what goes wrong in them must not go unheard."""

from collections.abc import Callable
from logging import getLogger

_log = getLogger(__name__)


def logged(job: Callable[[], None]) -> Callable[[], None]:
    """The same job; whatever it raises is in the log."""

    def run() -> None:
        try:
            job()
        except Exception:  # noqa: BLE001  # nobody else would ever see it
            _log.exception("%s failed in a way that it should not.", job)

    return run
