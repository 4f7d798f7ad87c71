"""Until when a certificate is good, for clients, which lack the library that reads all of it.

Of the form of a certificate (RFC 5280, 4.1) only the way to the end of its validity is known here.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----\n"
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_UNREADABLE: Final = (OSError, ValueError, IndexError, StopIteration)


def end_of(certificate: Path) -> datetime | None:
    """When the certificate in a file (PEM) ends; None when there is none to read."""
    try:
        text = certificate.read_text().partition(_BEGIN)[2].partition(_END)[0]
        whole = ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{text}{_END}")
        return _end_in(_first(_first(whole)))
    except _UNREADABLE:
        return None


def _end_in(body: bytes) -> datetime:
    """What is behind serial number, algorithm and issuer are two times; the version may lack."""
    fields = [content for tag, content in _elements(body) if tag != _VERSION]
    _, (tag, until) = _elements(fields[3])
    year = "%y" if tag == _UTC_TIME else "%Y"
    return datetime.strptime(until.decode(), f"{year}%m%d%H%M%SZ").replace(tzinfo=UTC)


def _first(content: bytes) -> bytes:
    return next(_elements(content))[1]


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that stand one behind the other in DER, each with its tag."""
    while content:
        start, length = 2, content[1]
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(content[2:start])
        yield content[0], content[start : start + length]
        content = content[start + length :]
