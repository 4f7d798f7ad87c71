"""The caller's half of a secure connection: the handshake, and whether the peer is the right one.

Apart from `peers`, so that whoever calls without encryption does not load OpenSSL.
"""

import select
import socket
import time
from dataclasses import dataclass

from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.secure import NotAgreed, Secured


@dataclass(frozen=True, slots=True)
class Secrets:
    """With what a program calls, and the role that whoever answers must have a certificate for."""

    papers: Papers
    role: str

    def agree(self, sock: socket.socket, name: str, until: float) -> Secured:
        """Agree with the server of that name on a secure connection, by `until`.

        Raises NotAgreed, or TimeoutError.
        """
        secured = Secured(sock, self.papers.client(), name)
        try:
            _shaken(secured, until)
            self._check(secured)
        except BaseException:
            secured.close()
            raise
        return secured

    def _check(self, secured: Secured) -> None:
        proof = secured.proof()
        if proof is None or proof.role != self.role:
            shown = "nothing" if proof is None else f"the {proof.role} {proof.name}"
            raise NotAgreed(f"its certificate is for {shown}, not for a {self.role}")


def _shaken(secured: Secured, until: float) -> None:
    poll = select.poll()
    while awaited := secured.shake():
        poll.register(secured.fileno(), awaited)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError
