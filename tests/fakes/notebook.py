"""A notebook in memory, which outlives the node manager that writes in it."""

from tashi.domain.errors import StoreFailed
from tashi.domain.identity import Epoch, InstanceId


class MemoryNotebook:
    """Pages in a dictionary; `is_full` makes every write fail."""

    def __init__(self) -> None:
        self._pages: dict[InstanceId, bytes] = {}
        self._epoch = Epoch(0)
        self.is_full = False

    def pages(self) -> dict[InstanceId, bytes]:
        return dict(self._pages)

    def write(self, guest: InstanceId, page: bytes) -> None:
        self._check()
        self._pages[guest] = page

    def tear_out(self, guest: InstanceId) -> None:
        self._pages.pop(guest, None)

    def epoch(self) -> Epoch:
        return self._epoch

    def keep_epoch(self, epoch: Epoch) -> None:
        self._check()
        self._epoch = epoch

    def _check(self) -> None:
        if self.is_full:
            raise StoreFailed("The notes could not be written: No space left on device.")
