"""What an administrator has told when an instance is about to exist, and when it is gone."""

from typing import Protocol

from tashi.domain.instance import Instance


class Hook(Protocol):
    """Is told of every instance before its first start, and once it is over.

    It may be told the same twice, when the scheduler died in between. Of one that is destroyed
    while it is told of the beginning, it is told the end at once; should the scheduler die just
    then, not at all. It cannot stop anything: one that fails or takes too long raises HookFailed,
    which names it, and the instance goes on.
    """

    @property
    def name(self) -> str:
        """How it stands in the configuration."""
        ...

    def pre_create(self, record: Instance) -> None:
        """The instance is to be started for the first time."""
        ...

    def post_destroy(self, record: Instance) -> None:
        """The instance is over, and nothing of it is left."""
        ...
