"""The mark in a domain's metadata: whose guest it is, and where its node keeps things.

libvirt keeps it with the domain for as long as there is one, also through saved memory and moves.
A domain without it, or with another node's, is none of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from xml.etree import ElementTree as ET

from tashi.domain.identity import Attempt, InstanceId

NAMESPACE: Final = "urn:tashi:guest:1"
PREFIX: Final = "tashi"


def parsed(text: str) -> ET.Element:
    """What libvirt on this host wrote; raises ParseError."""
    # Not a stranger's text, so nothing in it is built to swell while it is read.
    return ET.fromstring(text)  # noqa: S314  # see the comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders of a node: those of its guests, of their overlays, and the image store's."""

    info: Path
    overlays: Path
    images: Path

    def towards(self, other: "Folders") -> Iterator[tuple[Path, Path]]:
        """Each folder with what it is on another node."""
        yield self.info, other.info
        yield self.overlays, other.overlays
        yield self.images, other.images


@dataclass(frozen=True, slots=True)
class Mark:
    """What a domain says of the guest that it is."""

    instance_id: InstanceId
    attempt: Attempt
    folders: Folders

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The mark in the text of the metadata element; ``None`` when it is none."""
        try:
            return cls.of(parsed(text))
        except (ET.ParseError, KeyError, ValueError):
            return None

    @classmethod
    def of(cls, element: ET.Element) -> Self:
        """The mark in the element; raises KeyError or ValueError."""
        told = element.attrib
        return cls(
            InstanceId(int(told["instance"])),
            Attempt(int(told["attempt"])),
            Folders(
                info=Path(told["info"]),
                overlays=Path(told["overlays"]),
                images=Path(told["images"]),
            ),
        )

    def element(self) -> ET.Element:
        """The element that `of` reads."""
        return ET.Element(f"{{{NAMESPACE}}}guest", self.attributes())

    def attributes(self) -> dict[str, str]:
        """What is in the element."""
        return {
            "instance": str(self.instance_id),
            "attempt": str(self.attempt),
            "info": str(self.folders.info),
            "overlays": str(self.folders.overlays),
            "images": str(self.folders.images),
        }


ET.register_namespace(PREFIX, NAMESPACE)
