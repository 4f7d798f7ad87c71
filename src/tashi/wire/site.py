"""The forms in which the scheduler books addresses and says what the site's servers know."""

from tashi.wire.forms import ListingForm
from tashi.wire.shape import Form, Number


class BookingForm(Form, frozen=True):
    """Addresses and names to book for cards of one instance."""

    instance_id: Number
    listings: tuple[ListingForm, ...]


class SiteToldForm(Form, frozen=True, omit_defaults=True):
    """What DNS, DHCP and hooks know of an instance by now, and what keeps them from the rest."""

    listed: tuple[ListingForm, ...] = ()
    forgotten: tuple[ListingForm, ...] = ()
    announced: bool | None = None
    trouble: str | None = None
