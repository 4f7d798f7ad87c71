"""What emptying a host means, in the shape in which administrators are told of it."""

from tashi.domain.placement.fate import Fate
from tashi.domain.states import InstanceState
from tashi.wire.answers import HostWhyForm
from tashi.wire.forms import HostForm
from tashi.wire.shape import Form


class EvacueeForm(Form, frozen=True, omit_defaults=True):
    """An instance on a host that is emptied, and what becomes of it; `words` follow its name.

    `target_id` and `target` are where it moves; `hosts` are those that come nearest to
    taking one that no host takes, and why they do not.
    """

    instance_id: int
    name: str
    state: InstanceState
    fate: Fate
    words: str = ""
    target_id: int | None = None
    target: str = ""
    hosts: tuple[HostWhyForm, ...] = ()


class DrainPlanForm(Form, frozen=True):
    """What emptying a host means for everything on it, and the event to follow from."""

    host: HostForm
    instances: tuple[EvacueeForm, ...]
    next: int
