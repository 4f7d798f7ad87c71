"""Where disk images live: a folder that every node sees."""

from collections.abc import Sequence
from typing import Protocol

from tashi.domain.catalogue import Image


class ImageStore(Protocol):
    """The images under one prefix. Names are paths below ``images/``, with `/` between folders."""

    def images(self) -> Sequence[Image]:
        """Every image, by name, without who uses it; raises ImagesFailed."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a disk image of that name; raises ImagesFailed when it cannot tell."""
        ...
