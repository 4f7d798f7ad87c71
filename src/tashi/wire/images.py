"""The forms of disk images, and of the jobs that make them."""

from tashi.domain.jobs import JobState
from tashi.wire.shape import Form


class ImageForm(Form, frozen=True, omit_defaults=True):
    """An image; sizes in bytes: what it takes up, and what a guest sees.

    `used_by` are instances, `backs` the images that are based on it, `user_id` is its owner.
    """

    name: str
    size: int
    virtual_size: int
    format: str
    backing: str | None = None
    used_by: tuple[int, ...] = ()
    backs: tuple[str, ...] = ()
    user_id: int | None = None


class JobForm(Form, frozen=True, omit_defaults=True):
    """Long work of the cluster manager; bytes done of a total, bytes a second, how it ended.

    `change` counts up with everything that changes in it. One that failed has the number, the kind
    and the words of its error.
    """

    id: int
    words: str
    state: JobState
    user_id: int | None = None
    done: int = 0
    total: int = 0
    rate: int = 0
    change: int = 0
    errno: int = 0
    kind: str = ""
    error: str = ""


class ImportForm(Form, frozen=True):
    """An image on its way in: the piece `next` is awaited; all but the last have `piece_bytes`."""

    id: int
    name: str
    size: int
    piece_bytes: int
    next: int


class PieceForm(Form, frozen=True):
    """A piece of an image's file; pieces of one `version` belong together."""

    content: bytes
    size: int
    version: str
