"""Ports of loopback for programs that are told a number before they bind it."""

import random
import socket
from pathlib import Path

_LEAST = 10_000
_DICE = random.SystemRandom()  # two test runs on one machine, each with the same seed, still differ


def free(count: int) -> list[int]:
    """Ports that nobody has, neither for TCP nor for UDP, and that nobody is given by chance before they are bound.

    They lie below those that the kernel gives to whoever connects or binds port 0, as all tests do all the time.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    while len(found) < count:
        port = _DICE.randrange(_LEAST, first_of_kernel)
        if port not in found and all(_is_free(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            found.append(port)
    return found


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
