"""The forms of what is stored beside the records, and never travels."""

from tashi.wire.shape import Form


class AnswerForm(Form, frozen=True):
    """What a request was answered."""

    request: str
    text: str
    event: int


class CountersForm(Form, frozen=True):
    """The numbers given out next."""

    instance: int = 1
    host: int = 1
    operation: int = 1
    session: int = 1
    event: int = 1
    epoch: int = 0
    lost_from: int = 0
    lost_to: int = 0
