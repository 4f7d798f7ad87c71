"""What a node must not forget, kept on its own disk."""

from collections.abc import Mapping
from typing import Protocol

from tashi.domain.identity import Epoch, InstanceId


class Notebook(Protocol):
    """One page of text for each guest, and the highest epoch heard of.

    Pages are kept whole or not at all, and durable when a method returns. Every method raises
    StoreFailed when the disk refuses.
    """

    def pages(self) -> Mapping[InstanceId, bytes]:
        """All pages."""
        ...

    def write(self, guest: InstanceId, page: bytes) -> None:
        """Keep this page in place of the guest's old one."""
        ...

    def tear_out(self, guest: InstanceId) -> None:
        """Keep no page of that guest; harmless if there is none."""
        ...

    def epoch(self) -> Epoch:
        """The highest epoch kept; 0 at first."""
        ...

    def keep_epoch(self, epoch: Epoch) -> None:
        """Keep an epoch."""
        ...
