"""The cluster manager, called over the wire."""

from collections.abc import Sequence

from tashi.domain.guest import Glimpse
from tashi.domain.host import Machine
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    InventoryForm,
    MachineForm,
    ReportForm,
    SessionForm,
    to_form,
)
from tashi.wire.glimpses import GlimpseForm


class RemoteRegistrar:
    """A cluster manager behind its calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def register(self, machine: Machine, *, register: bool) -> SessionForm:
        """Open a session."""
        return self._calls.call(
            "registerNodeManager",
            SessionForm,
            machine=to_form(machine, MachineForm),
            register=register,
        )

    def report(
        self,
        session: SessionForm,
        number: int,
        reports: Sequence[ReportForm],
        inventory: InventoryForm | None,
    ) -> None:
        """Hand over reports."""
        self._calls.call(
            "reportNode",
            bool,
            session=session,
            number=number,
            reports=tuple(reports),
            inventory=inventory,
        )

    def tell(self, session: SessionForm, guests: Sequence[Glimpse]) -> None:
        """Tell what is known of guests right now."""
        self._calls.call(
            "tellGuests",
            bool,
            host_id=session.host_id,
            session=session.session,
            guests=tuple(to_form(one, GlimpseForm) for one in guests),
        )
