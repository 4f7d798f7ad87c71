"""A hook that writes down what it is told, and may fail."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tashi.domain.errors import HookFailed
from tashi.domain.instance import Instance


@dataclass
class FakeHook:
    """What it was told stands in `told`; `while_told` is called in the middle of that."""

    name: str = "Hook notes"
    told: list[str] = field(default_factory=list)
    fails: bool = False
    while_told: Callable[[], None] = lambda: None

    def pre_create(self, record: Instance) -> None:
        self._note("preCreate", record)

    def post_destroy(self, record: Instance) -> None:
        self._note("postDestroy", record)

    def _note(self, event: str, record: Instance) -> None:
        if self.fails:
            raise HookFailed("It does not work.")
        self.while_told()
        self.told.append(f"{event} {record.name}")
