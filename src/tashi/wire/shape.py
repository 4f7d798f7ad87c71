"""What every form is, and how large its numbers are; the rooms beside this say which there are."""

from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that may come to stand in the books: every store holds what has 64 bits."""

UserNumber = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)]
"""A user's number, as operating systems count them."""


class Form(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A shape on the wire."""
