"""What every form is: the rooms `forms` and its neighbours say which there are."""

import msgspec


class Form(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A shape on the wire."""
