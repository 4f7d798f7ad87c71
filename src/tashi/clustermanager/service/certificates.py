"""The call by which daemons have their certificates renewed before they end."""

from concurrent.futures import Future

from tashi.clustermanager.service.aside import elsewhere
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.errors import NotPermitted, Refused
from tashi.domain.permissions import Caller, Proven

_LANE = "certificates"


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""

    def renew(caller: Caller, _request: str, certificate: str) -> Future[str]:
        """Sign a fresh certificate for whoever shows one that ends soon."""
        if office.renew is None:
            raise Refused("There are no certificates here: authAndEncrypt is not set.")
        if caller.proven is not Proven.CERTIFICATE:
            raise NotPermitted("A certificate is renewed for who shows it, and nobody else.")
        sign = office.renew
        return elsewhere(office.workers, _LANE, lambda: sign(certificate, caller.name))

    return {"renewCertificate": renew}
