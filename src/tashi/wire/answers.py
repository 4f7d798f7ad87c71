"""The forms of answers that are made for one question and kept nowhere."""

from tashi.domain.states import InstanceState
from tashi.wire.shape import Form


class ReignForm(Form, frozen=True):
    """The reign of the cluster manager that answers: which one it is, and when it began."""

    epoch: int
    began: float


class ReasonForm(Form, frozen=True, omit_defaults=True):
    """A rule that keeps an instance off a host, and by how much where that is a number."""

    rule: str
    words: str
    short_by: int | None = None


class HostWhyForm(Form, frozen=True):
    """Every rule that keeps an instance off one host; none means that it fits."""

    host_id: int
    host: str
    reasons: tuple[ReasonForm, ...]


class WhyForm(Form, frozen=True):
    """Why an instance is where it is; `hosts` is filled for one that waits or may move."""

    instance_id: int
    name: str
    state: InstanceState
    words: str
    hosts: tuple[HostWhyForm, ...]


class ReservationForm(Form, frozen=True):
    """The users a host is kept for."""

    host_id: int
    users: tuple[int, ...]


class SlotsForm(Form, frozen=True):
    """How many such instances would fit now."""

    count: int
    cores: int
    memory: int


class TicketForm(Form, frozen=True):
    """What a log-in gives: a ticket that goes with each request, for so many seconds, and whose."""

    ticket: str
    seconds: float
    user_id: int
    name: str
