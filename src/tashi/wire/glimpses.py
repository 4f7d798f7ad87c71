"""The forms of what is true of a guest for a moment only: what it uses, how far a move is."""

from tashi.wire.shape import Form, Number


class DiskRatesForm(Form, frozen=True):
    """What a guest did with one disk: requests and bytes, each a second."""

    name: str
    reads: float
    writes: float
    read_bytes: float
    written_bytes: float


class NicRatesForm(Form, frozen=True):
    """What crossed one network card, as the guest sees it: packets and bytes, each a second."""

    mac: str
    received_packets: float
    sent_packets: float
    received_bytes: float
    sent_bytes: float


class StatsForm(Form, frozen=True, omit_defaults=True):
    """What a guest used in the last seconds; memory in bytes, a load of 1.0 is a whole core."""

    seconds: float
    cpu_load: float
    rss: Number
    vsize: Number
    balloon: Number | None = None
    disks: tuple[DiskRatesForm, ...] = ()
    nics: tuple[NicRatesForm, ...] = ()


class ProgressForm(Form, frozen=True, omit_defaults=True):
    """How far a move, a save or a storing is: bytes done of those known so far, bytes a second."""

    done: Number = 0
    total: Number = 0
    rate: float = 0.0
    words: str = ""


class GlimpseForm(Form, frozen=True, omit_defaults=True):
    """What a node knows of one guest right now; the progress is that of the operation."""

    instance_id: Number
    operation: Number
    stats: StatsForm | None = None
    progress: ProgressForm | None = None
