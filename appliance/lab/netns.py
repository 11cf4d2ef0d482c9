"""Network namespaces: made and deleted with `ip`, entered with setns.

The host's own network is never touched: the bridge, the taps and the BMC addresses exist only inside.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.lab.spec import NodeSpec, RackSpec
from images import tools

_RUN = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # sched.h
_IP_TIMEOUT_S = 20.0


def path(namespace: str) -> Path:
    return _RUN / namespace


def exists(namespace: str) -> bool:
    return path(namespace).exists()


def inside(namespace: str, argv: Sequence[str]) -> list[str]:
    """Argv that runs the same program inside; `ip` replaces itself by it, so the process id stays the program's."""
    return ["ip", "netns", "exec", namespace, *argv]


def create(rack: RackSpec) -> None:
    """Make the namespace, bridge, taps and BMC addresses; what is there already stays. Raises tools.ToolFailed."""
    if not exists(rack.namespace):
        _ip("netns", "add", rack.namespace)
    present = interfaces(rack.namespace)
    if rack.bridge not in present:
        for argv in bridge_commands(rack):
            _ip(*argv)
    for node in rack.nodes:
        if node.tap not in present:
            for argv in tap_commands(rack, node):
                _ip(*argv)


def bridge_commands(rack: RackSpec) -> list[list[str]]:
    """Spanning tree and forward delay off, else the first DHCP requests of a booting machine are lost."""
    n = ["-n", rack.namespace]
    quiet = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
    return [
        [*n, "link", "set", "lo", "up"],
        [*n, "link", "add", rack.bridge, "type", "bridge", *quiet],
        [*n, "addr", "add", f"{rack.address}/{rack.prefix}", "dev", rack.bridge],
        # nodad: a tentative address cannot be bound, and nobody else is here.
        [*n, "addr", "add", f"{rack.address6}/64", "dev", rack.bridge, "nodad"],
        [*n, "link", "set", rack.bridge, "up"],
    ]


def tap_commands(rack: RackSpec, node: NodeSpec) -> list[list[str]]:
    n = ["-n", rack.namespace]
    return [
        [*n, "tuntap", "add", "dev", node.tap, "mode", "tap"],
        [*n, "link", "set", node.tap, "master", rack.bridge, "up"],
        [*n, "addr", "replace", f"{node.bmc_address}/32", "dev", "lo"],
    ]


def delete(namespace: str) -> None:
    """Delete it with everything inside; no error when it is not there."""
    if exists(namespace):
        _ip("netns", "delete", namespace)


def set_link(namespace: str, interface: str, *, up: bool) -> None:
    _ip("-n", namespace, "link", "set", interface, "up" if up else "down")


def interfaces(namespace: str) -> set[str]:
    """Names of the interfaces inside."""
    lines = tools.run(["ip", "-n", namespace, "-o", "link", "show"], timeout_s=_IP_TIMEOUT_S).splitlines()
    return {line.split(":")[1].strip().split("@")[0] for line in lines}


def process_ids(namespace: str) -> list[int]:
    """Every process that lives inside, whoever started it."""
    if not exists(namespace):
        return []
    return [int(word) for word in tools.run(["ip", "netns", "pids", namespace], timeout_s=_IP_TIMEOUT_S).split()]


def enter(namespace: str) -> None:
    """Move the calling thread inside; its sockets from now on belong there, those it has already stay outside.

    Raises OSError.
    """
    handle = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path(namespace)))
    finally:
        os.close(handle)


def _ip(*argv: str) -> None:
    tools.run(["ip", *argv], timeout_s=_IP_TIMEOUT_S)
