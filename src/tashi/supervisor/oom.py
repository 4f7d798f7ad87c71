"""Who the kernel kills first when memory runs out.

The keeper should be the last: it is tiny, and without it the daemon does not come back. The daemon
and the guests it starts take their ordinary turn. A score is inherited, so the keeper lowers its
shield for the moment of a start; the child is ordinary from its first instruction on. (Writing the
child's score after the start would leave a gap in which it may start a guest that is then never
killed; a function run between fork and exec is not safe in every program.)
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SCORE = Path("/proc/self/oom_score_adj")
NEVER = "-1000"
ORDINARY = "0"


class OomShield:
    """The keeper's protection from the kernel's out-of-memory killer."""

    def __init__(self, score: Path = SCORE) -> None:
        self._score = score
        self._up = False

    def put_up(self) -> str:
        """Protect this process; return a warning when that is not permitted, else nothing."""
        try:
            self._score.write_text(NEVER)
        except OSError as error:
            return (
                f"The kernel may kill nmd when memory runs out ({error.strerror}):"
                " to protect itself it needs root's CAP_SYS_RESOURCE."
            )
        self._up = True
        return ""

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Make this process, and so what it starts meanwhile, an ordinary one for a moment."""
        if not self._up:
            yield
            return
        self._score.write_text(ORDINARY)
        try:
            yield
        finally:
            with suppress(OSError):
                self._score.write_text(NEVER)
