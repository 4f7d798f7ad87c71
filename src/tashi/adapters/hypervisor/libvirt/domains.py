"""The domains of a libvirtd: those that are guests of this node, and what others take up."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Connection, Domain
from tashi.adapters.hypervisor.libvirt.doing import never_comes
from tashi.adapters.hypervisor.libvirt.link import find, sentence
from tashi.adapters.hypervisor.libvirt.mark import NAMESPACE, Mark
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import Mib
from tashi.ports.hypervisor import Others

_log = logging.getLogger(__name__)

NEVER_COMES: Final = (
    "libvirtd keeps the domain %s as starting, though it has no process: it was killed while it "
    "started it. Until it lets go of it, this guest does not start here: end libvirtd, remove the "
    "domain's file in /run/libvirt/qemu, and start libvirtd again."
)
_ALL_OF_IT: Final = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
)
"""With what people had libvirt make of the guest, which keeps it else: it could run again of it."""
_UNMARKED: Final = {libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN}
"""It has no mark, or has just gone."""
_KIB: Final = 1024
_PROC: Final = Path("/proc")
_TGID: Final = "Tgid:"


def mark_of(domain: Domain) -> Mark | None:
    """The mark of a domain, if it is some node's guest; raises libvirtError where nobody says so.

    Whoever takes a guest for a stranger's neither ends it nor knows that it lives.
    """
    try:
        return Mark.read(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
    except libvirt.libvirtError as error:
        if error.get_error_code() in _UNMARKED:
            return None
        raise


def marked(connection: Connection, info: Path) -> Iterator[tuple[Mark, Domain]]:
    """The guests of the node whose folder that is; raises libvirtError."""
    for domain in connection.listAllDomains():
        mark = mark_of(domain)
        if mark is not None and mark.folders.info == info:
            yield mark, domain


def taken_by_others(connection: Connection, info: Path) -> Others:
    """What the domains take that live and are not guests of that node; raises libvirtError."""
    cores, kibibytes = 0, 0
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        if not _is_ours(domain, info):
            _, most, _, its_cores, _ = domain.info()
            cores += its_cores
            kibibytes += most
    return Others(cores, Mib(-(-kibibytes // _KIB)))


def put_an_end_to(connection: Connection, uuid: str, info: Path) -> None:
    """Destroy the domain with that UUID if it lives and is ours; raises libvirtError."""
    domain = find(connection, uuid)
    if domain is not None and _is_ours(domain, info):
        try:
            domain.destroy()
        except libvirt.libvirtError as error:
            if error.get_error_code() in _OVER:
                return
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_TIMEOUT:
                raise
            if not never_comes(domain):
                raise
            _log.warning(NEVER_COMES, domain.name())


def check_comes(connection: Connection, uuid: str) -> None:
    """Raise HypervisorFailed if a domain with that UUID keeps all others from being made."""
    domain = find(connection, uuid)
    if domain is not None and never_comes(domain):
        raise HypervisorFailed(NEVER_COMES % domain.name())


def forget(connection: Connection, uuid: str, info: Path) -> bool:
    """Have libvirt keep nothing of a domain that has ended; raises libvirtError.

    False if it does not yet: while it makes or ends that domain, nobody else gets its lock.
    """
    domain = find(connection, uuid)
    if domain is None or not _is_ours(domain, info):
        return True
    if domain.isActive():
        return False
    if domain.isPersistent():
        try:
            domain.undefineFlags(_ALL_OF_IT)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # somebody else was quicker
                _log.warning("libvirt goes on keeping %s: %s", domain.name(), sentence(error))
                return False
    return True


def process_of_thread(thread: int) -> int:
    """The process that a thread is of; raises OSError or StopIteration."""
    lines = (_PROC / str(thread) / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(_TGID)).split()[1])


def has_ended(process: int) -> bool:
    """Whether there is no such process any more."""
    try:
        os.close(os.pidfd_open(process))
    except OSError:
        return True
    return False


_OVER: Final = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}


def _is_ours(domain: Domain, info: Path) -> bool:
    mark = mark_of(domain)
    return mark is not None and mark.folders.info == info
