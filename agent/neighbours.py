"""Listen for LLDP on all cards in the background, for a bounded time, and tell when a new neighbour was heard."""

import logging
import select
import socket
import struct
import time
from collections.abc import Callable

from agent.errors import ProgramFailed
from agent.host import Host
from agent.inventory import lldp, nics

log = logging.getLogger(__name__)

# Switches send every 30 s by default; three chances.
LISTEN_S = 95.0
# Several cards hear theirs at nearly the same time: one report for all of them.
_SETTLE_S = 2.0
_LINK_S = 6.0
_SOL_PACKET, _ADD_MEMBERSHIP, _MULTICAST = 263, 1, 0
_MAX_FRAME = 2048

Neighbours = dict[str, dict[str, str]]


def listen(host: Host, found: Neighbours, on_change: Callable[[], None], *, for_s: float = LISTEN_S) -> None:
    """Fills `found` by interface name; calls on_change after new ones, once for those that come together."""
    sockets = {}
    for name in nics.names(host.root):
        try:
            host.run(["/usr/bin/ip", "link", "set", name, "up"], timeout_s=10)
            sockets[_socket(name)] = name
        except (OSError, ProgramFailed) as failure:
            log.info("no LLDP on nic=%s: %s", name, failure)
    deadline = time.monotonic() + for_s
    # The other cards were down until now, so their first report could not say whether there is a link.
    report_at = time.monotonic() + _LINK_S if len(sockets) > 1 else None
    try:
        while sockets and (now := time.monotonic()) < deadline:
            wait_s = min(deadline, report_at or deadline) - now
            ready, _, _ = select.select(list(sockets), [], [], max(0.0, wait_s))
            for source in ready:
                if _receive(source, sockets[source], found):
                    report_at = report_at or time.monotonic() + _SETTLE_S
            if report_at is not None and time.monotonic() >= report_at:
                report_at = None
                on_change()
        if report_at is not None:
            on_change()
    finally:
        for source in sockets:
            source.close()


def _receive(source: socket.socket, name: str, found: Neighbours) -> bool:
    try:
        neighbour = lldp.parse(source.recv(_MAX_FRAME))
    except OSError:
        return False
    if neighbour is None or found.get(name) == neighbour:
        return False
    found[name] = neighbour
    return True


def _socket(name: str) -> socket.socket:
    source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(lldp.ETHERTYPE))
    try:
        source.bind((name, lldp.ETHERTYPE))
        group = struct.pack("iHH8s", socket.if_nametoindex(name), _MULTICAST, len(lldp.GROUP), lldp.GROUP)
        source.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, group)
    except OSError:
        source.close()
        raise
    return source
