"""Somebody on the network of guests, who reads what one of them goes on sending."""

import re
import socket
import threading

from system.many_hosts import ManyHosts


class Reader(threading.Thread):
    """Reads one HTTP answer that never ends, over one connection, until it is stopped."""

    def __init__(self, site: ManyHosts, at: str) -> None:
        super().__init__(name="reader")
        self.lines: list[str] = []
        self.broken = ""
        self._done = threading.Event()
        self._line = connected(site, at, 80)
        self._line.sendall(b"GET /cgi-bin/stream HTTP/1.0\r\n\r\n")

    def stop(self) -> None:
        """Let go, and wait for the thread."""
        self._done.set()
        self.join()
        self._line.close()

    def numbers(self) -> list[int]:
        """Those of the lines that came."""
        return [int(found[1]) for line in self.lines if (found := re.match(r"line=(\d+) ", line))]

    def nonces(self) -> set[str]:
        """Those of the boots that the lines came from."""
        return {line.partition("nonce=")[2] for line in self.lines if line.startswith("line=")}

    def run(self) -> None:
        """Read until told to stop."""
        with self._line.makefile(encoding="utf-8") as answer:
            try:
                while not self._done.is_set():
                    line = answer.readline()
                    if not line:
                        self.broken = "the connection was closed"
                        return
                    self.lines.append(line.strip())
            except OSError as error:
                self.broken = str(error)


def connected(site: ManyHosts, address: str, port: int) -> socket.socket:
    """A connection from the switch's machine, which is on every VLAN."""
    with site.lab.switch.namespace.network():
        line = socket.create_connection((address, port), 30)
    line.settimeout(30)
    return line
