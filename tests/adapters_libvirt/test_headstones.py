"""What libvirt keeps of guests that are cleared away: nothing in the end, whatever it made of them.

libvirt's driver for tests, inside this process, has the domains.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest

from contracts.machines import a_spec
from tashi.adapters.hypervisor.libvirt.channel import Connection, Domain
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.libvirt.domains import marked, put_an_end_to, taken_by_others
from tashi.adapters.hypervisor.libvirt.headstones import Headstones
from tashi.adapters.hypervisor.libvirt.mark import NAMESPACE, PREFIX, Folders, Mark
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.domain.errors import HypervisorFailed

SPEC = a_spec()
GUEST = SPEC.instance_id
INFO = Path("/info")
DOMAIN = f"""\
<domain type='test'><name>{domain_name(GUEST)}</name><uuid>{guest_uuid(GUEST)}</uuid>\
<memory>1024</memory><os><type>hvm</type></os><metadata>%s</metadata></domain>
"""


def described() -> str:
    """A domain of our guest."""
    folders = Folders(info=INFO, overlays=Path("/overlays"), images=Path("/images"))
    told = Mark(GUEST, SPEC.attempt, folders).attributes()
    attributes = " ".join(f"{key}='{value}'" for key, value in told.items())
    return DOMAIN % f"<{PREFIX}:guest xmlns:{PREFIX}='{NAMESPACE}' {attributes}/>"


@pytest.fixture
def connection(libvirts_loop: None) -> Iterator[Connection]:
    opened = libvirt.open("test:///default")
    yield opened
    with suppress(libvirt.libvirtError):
        there(opened).destroy()
    with suppress(libvirt.libvirtError):
        there(opened).undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    opened.close()


def there(connection: Connection) -> Domain:
    return connection.lookupByUUIDString(str(guest_uuid(GUEST)))


def is_there(connection: Connection) -> bool:
    return domain_name(GUEST) in {domain.name() for domain in connection.listAllDomains()}


@pytest.mark.parametrize("stands", [True, False], ids=["as it was made", "resumed by hand"])
def test_a_domain_that_libvirtd_made_after_its_guest_was_cleared_away_is_ended(
    connection: Connection, stands: bool
) -> None:
    headstones = Headstones(INFO, left={GUEST: 0.0})
    connection.defineXML(described()).create()
    if stands:
        there(connection).suspend()

    headstones.remove_left(connection, ())

    assert not is_there(connection)
    assert headstones.left == {}


def test_a_guest_that_has_come_again_meanwhile_keeps_its_domain_and_its_headstone(
    connection: Connection,
) -> None:
    headstones = Headstones(INFO, left={GUEST: 0.0})
    connection.defineXML(described()).create()
    there(connection).suspend()

    headstones.remove_left(connection, {GUEST})

    assert there(connection).isActive()
    assert there(connection).isPersistent()
    assert headstones.left == {}


def test_a_domain_whose_libvirtd_dies_before_it_says_whose_it_is_is_not_taken_for_a_strangers(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> str:
        raise libvirt.libvirtError("Cannot recv data: Connection reset by peer")

    headstones = Headstones(INFO)
    connection.defineXML(described())
    with monkeypatch.context() as dying:
        dying.setattr(libvirt.virDomain, "metadata", die)
        for ask in (
            lambda: put_an_end_to(connection, str(guest_uuid(GUEST)), INFO),
            lambda: headstones.remove(connection, GUEST),
            lambda: list(marked(connection, INFO)),
            lambda: taken_by_others(connection, INFO),
        ):
            with pytest.raises(libvirt.libvirtError, match="reset by peer"):
                ask()

    assert [mark.instance_id for mark, _ in marked(connection, INFO)] == [GUEST]


def test_what_a_silent_libvirtd_does_after_everybody_gave_up_is_undone(
    connection: Connection,
) -> None:
    now = [0.0]
    headstones = Headstones(INFO, lambda: now[0])
    headstones.expect_late(GUEST)
    headstones.remove(connection, GUEST)

    with pytest.raises(HypervisorFailed, match=f"may yet make {domain_name(GUEST)}"):
        headstones.remove_left(connection, ())
    connection.defineXML(described())
    now[0] += 60
    headstones.remove_left(connection, ())

    assert not is_there(connection)
    assert headstones.left == {}


def test_memory_that_somebody_had_libvirt_save_goes_with_the_headstone(
    connection: Connection,
) -> None:
    headstones = Headstones(INFO)
    connection.defineXML(described()).create()
    there(connection).managedSave()

    headstones.remove(connection, GUEST)

    assert not is_there(connection)
