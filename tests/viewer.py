"""A viewer of displays: RFB 3.8 (RFC 6143) with VeNCrypt's X509Vnc, as far as being let in."""

import socket
import ssl
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

PASSWORD: Final = 2
"""The kind of security that is a password in the clear: RFC 6143, section 7.2.2."""
VENCRYPT: Final = 19
_VERSION: Final = b"RFB 003.008\n"
_VENCRYPT_VERSION: Final = b"\x00\x02"
_X509_VNC: Final = 261
_SECONDS: Final = 60


def offered(line: socket.socket) -> bytes:
    """The kinds of security that a server offers."""
    line.settimeout(_SECONDS)
    assert _taken(line, 12) == _VERSION
    line.sendall(_VERSION)
    return _taken(line, _taken(line, 1)[0])


def encrypted(line: socket.socket, trusted: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """The line under TLS, once the server has shown a certificate for `name`."""
    assert offered(line) == bytes([VENCRYPT])
    line.sendall(bytes([VENCRYPT]))
    assert _taken(line, 2) == _VENCRYPT_VERSION
    line.sendall(_VENCRYPT_VERSION)
    assert _taken(line, 1) == b"\x00"
    [kind] = [_taken(line, 4) for _ in range(_taken(line, 1)[0])]
    assert int.from_bytes(kind) == _X509_VNC
    line.sendall(kind)
    assert _taken(line, 1) == b"\x01"
    return trusted.wrap_socket(line, server_hostname=name)


def is_let_in(line: socket.socket, password: str) -> bool:
    """Whether the server takes that password."""
    # The key of DES is the password, each byte from its other end.
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\x00"))
    cipher = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
    line.sendall(cipher.update(_taken(line, 16)))
    return _taken(line, 4) == bytes(4)


def is_refused(line: socket.socket, kind: int) -> bool:
    """Whether a server turns away who chooses that kind of security, whatever it offers."""
    offered(line)
    line.sendall(bytes([kind]))
    return line.recv(4, socket.MSG_WAITALL) in (b"", b"\x00\x00\x00\x01")


def _taken(line: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        piece = line.recv(count - len(taken))
        assert piece, "The server has closed the connection."
        taken += piece
    return taken
