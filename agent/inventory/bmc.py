"""The management controller seen from inside: its version and LAN address, through a function that sends requests.

Specification: IPMI 2.0, sections 20.1 (device id), 22.24 (channel info), 23.2 (LAN parameters).
"""

from collections.abc import Callable
from typing import Any

from agent.errors import IpmiFailed

# (network function, command, data) -> data after the completion code. Raises IpmiFailed.
Ask = Callable[[int, int, bytes], bytes]

_APP, _TRANSPORT = 0x06, 0x0C
_LAN_MEDIUM = 4
_ADDRESS, _MAC, _MASK, _GATEWAY = 3, 5, 6, 12


def describe(ask: Ask) -> dict[str, Any]:
    """ipmi_version, address, mac, netmask, gateway; None for what the controller does not tell."""
    device = ask(_APP, 0x01, b"")
    version = f"{device[4] & 0x0F}.{device[4] >> 4}" if len(device) > 4 else None
    found: dict[str, Any] = {"ipmi_version": version, "address": None, "mac": None, "netmask": None, "gateway": None}
    try:
        channel = lan_channel(ask)
    except IpmiFailed:
        return found
    return found | lan(ask, channel)


def lan_channel(ask: Ask) -> int:
    """The first channel whose medium is 802.3 LAN. Raises IpmiFailed if there is none."""
    last = IpmiFailed("no LAN channel", None)
    for channel in range(1, 12):
        try:
            info = ask(_APP, 0x42, bytes([channel]))
        except IpmiFailed as failure:
            last = failure
            continue
        if len(info) > 1 and info[1] & 0x7F == _LAN_MEDIUM:
            return channel
    raise last


def lan(ask: Ask, channel: int) -> dict[str, Any]:
    address, mask, gateway = (_dotted(_parameter(ask, channel, item)) for item in (_ADDRESS, _MASK, _GATEWAY))
    mac = _parameter(ask, channel, _MAC)
    return {
        "address": address,
        "mac": mac.hex(":") if mac and len(mac) == 6 and any(mac) else None,
        "netmask": mask,
        "gateway": gateway,
    }


def _parameter(ask: Ask, channel: int, item: int) -> bytes | None:
    try:
        return ask(_TRANSPORT, 0x02, bytes([channel, item, 0, 0]))[1:]
    except IpmiFailed:
        return None


def _dotted(data: bytes | None) -> str | None:
    return ".".join(str(octet) for octet in data) if data and len(data) == 4 and any(data) else None
