"""Keys that updates are signed with, from the kinds of files that administrators have.

Either an old pair of `dnssec-keygen -a HMAC-…`, of which the file K<name>.+<algorithm>+<id>.private
holds the secret and its file name the key's name; or the clause that `tsig-keygen` prints, which
named and dhcpd read as well.
"""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dns.exception
import dns.name
import dns.tsig

from tashi.domain.errors import Misconfigured

_PAIR: Final = re.compile(r"K(?P<name>.+?)\.?\+(?P<algorithm>\d{3})\+\d{1,5}\.private\Z")
_SECRET: Final = re.compile(r"^Key:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_NUMBERS: Final = {
    157: "hmac-md5",
    161: "hmac-sha1",
    162: "hmac-sha224",
    163: "hmac-sha256",
    164: "hmac-sha384",
    165: "hmac-sha512",
}
# It begins where a word might: two slashes may well stand inside a secret.
_COMMENT: Final = re.compile(r"(?<![^\s{};])(?:/\*.*?\*/|(?://|#)[^\n]*)", re.DOTALL)
_CLAUSE: Final = re.compile(r'\bkey\s+"?(?P<name>[^\s"{]+)"?\s*\{(?P<body>[^}]*)\}')
_ALGORITHM: Final = re.compile(r'\balgorithm\s+"?([^\s";]+)"?\s*;', re.IGNORECASE)
_CLAUSES_SECRET: Final = re.compile(r'\bsecret\s+"?([^\s";]+)"?\s*;', re.IGNORECASE)
_LONG_MD5: Final = "hmac-md5.sig-alg.reg.int"


@dataclass(frozen=True, slots=True)
class Key:
    """A shared secret, its name and its algorithm (such as hmac-sha256)."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)

    def for_signing(self) -> dns.tsig.Key:
        """The key as the library wants it; raises Misconfigured."""
        known = dns.tsig.HMAC_MD5 if self.algorithm == "hmac-md5" else self.algorithm
        try:
            return dns.tsig.Key(dns.name.from_text(self.name), self.secret, known)
        except dns.exception.DNSException as wrong:
            raise Misconfigured(f"{self.name!r} is no name for a key: {wrong}.") from wrong


def made_key(name: str, algorithm: str, secret: str) -> Key:
    """A key from its parts, the secret in base64; raises Misconfigured."""
    short = algorithm.lower().removesuffix(".")
    short = "hmac-md5" if short == _LONG_MD5 else short
    if short not in _NUMBERS.values():
        raise Misconfigured(
            f"Key {name}: {algorithm!r} is no algorithm for keys; there are "
            f"{', '.join(_NUMBERS.values())}."
        )
    try:
        return Key(name, short, base64.b64decode(secret, validate=True))
    except (
        ValueError
    ) as wrong:  # binascii.Error is one; another is said of other letters than ASCII
        raise Misconfigured(f"Key {name}: its secret is not written in base64.") from wrong


def read_key(path: Path) -> Key:
    """The key in a file of either kind; raises Misconfigured."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Misconfigured(f"The key in {path} cannot be read: {why}.") from error
    pair = _PAIR.fullmatch(path.name)
    secret = _SECRET.search(text)
    if pair is not None and secret is not None:
        number = int(pair["algorithm"])
        return made_key(pair["name"], _NUMBERS.get(number, f"number {number}"), secret[1])
    clause = _CLAUSE.search(_COMMENT.sub(" ", text))
    algorithm = clause and _ALGORITHM.search(clause["body"])
    secret = clause and _CLAUSES_SECRET.search(clause["body"])
    if clause and algorithm and secret:
        return made_key(clause["name"], algorithm[1], secret[1])
    raise Misconfigured(
        f"{path} holds no key: give a file K<name>.+<algorithm>+<id>.private under its own name, "
        "or the clause that tsig-keygen prints."
    )
