"""A domain's description for the node that it goes to: pure, from one text of XML to another.

libvirt's own description of a guest that lives names each device as it is, also those that were
plugged in, so it is the one to go on with; but folders may be elsewhere on the other node. Which
ones they were says the mark in it.
"""

from dataclasses import replace
from typing import Final
from xml.etree import ElementTree as ET

from tashi.adapters.hypervisor.libvirt.domain_xml import AGENT_PORT
from tashi.adapters.hypervisor.libvirt.mark import NAMESPACE, Folders, Mark, parsed
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import Attempt

_MARK: Final = f"metadata/{{{NAMESPACE}}}guest"
_NAMING_FILES: Final = ("file", "path")


def relocated(described: str, to: Folders, attempt: Attempt) -> str:
    """The same domain where folders are those; raises HypervisorFailed when it has no mark."""
    domain = parsed(described)
    try:
        element = domain.find(_MARK)
        mark = Mark.of(ET.Element("none") if element is None else element)
    except (KeyError, ValueError) as wrong:
        raise HypervisorFailed("This domain is no guest of Tashi's: it has no mark.") from wrong
    moved = {str(old): str(new) for old, new in mark.folders.towards(to)}
    for device in domain.iter():
        for key in _NAMING_FILES:
            if (path := device.get(key)) is not None:
                device.set(key, _elsewhere(path, moved))
    if element is not None:
        element.attrib.update(replace(mark, folders=to, attempt=attempt).attributes())
    return ET.tostring(domain, encoding="unicode")


def aliases(described: str) -> set[str]:
    """The names of all devices that a domain has."""
    domain = parsed(described)
    return {found.get("name", "") for found in domain.iter("alias")}


def medium_in(described: str, drive: str) -> str | None:
    """The file in the CD drive of that name; ``None`` when it is empty, "" without a drive."""
    domain = parsed(described)
    for disk in domain.iter("disk"):
        if (alias := disk.find("alias")) is not None and alias.get("name") == drive:
            source = disk.find("source")
            return None if source is None else source.get("file")
    return ""


def has_agent(described: str) -> bool:
    """Whether the guest's own agent has its port open."""
    domain = parsed(described)
    ports = {port.get("name"): port.get("state") for port in domain.iter("target")}
    return ports.get(AGENT_PORT) == "connected"


def _elsewhere(path: str, moved: dict[str, str]) -> str:
    for old, new in moved.items():
        if path.startswith(f"{old}/"):
            return new + path.removeprefix(old)
    return path
