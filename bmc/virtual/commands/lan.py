"""LAN configuration parameters (§23.1-23.3)."""

import ipaddress
from collections.abc import Callable, Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.rmcp.suites import SUITES
from bmc.virtual.commands.application import actual_channel
from bmc.virtual.commands.privilege import ADMINISTRATOR, OPERATOR
from bmc.virtual.controller import LAN_CHANNEL, Controller, Handler, Origin
from bmc.virtual.errors import Refused

REVISION = 0x11
UNSUPPORTED_PARAMETER = 0x80
SOURCES = {"static": 1, "dhcp": 2, "bios": 3}
SET_IN_PROGRESS = 0
WRITABLE = {SET_IN_PROGRESS: 1, 3: 4, 4: 1, 5: 6, 6: 4, 7: 3, 10: 1, 11: 1, 12: 4, 14: 4, 16: 18, 20: 2, 24: 9}


def _address(text: str) -> bytes:
    return ipaddress.IPv4Address(text).packed if text else bytes(4)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", "").replace("-", "")) if text else bytes(6)


def _suites(_bmc: Controller) -> bytes:
    return bytes([0, *sorted(SUITES)]).ljust(17, b"\0")


READERS: Mapping[int, Callable[[Controller], bytes]] = {
    SET_IN_PROGRESS: lambda _bmc: b"\0",
    1: lambda _bmc: b"\0",  # authentication types of IPMI 1.5: none
    2: lambda _bmc: bytes(5),
    3: lambda bmc: _address(bmc.lan.address),
    4: lambda bmc: bytes([SOURCES.get(bmc.lan.source, 0)]),
    5: lambda bmc: _mac(bmc.lan.mac),
    6: lambda bmc: _address(bmc.lan.netmask),
    7: lambda _bmc: b"\x40\x40\x10",
    10: lambda _bmc: b"\x01",
    11: lambda _bmc: b"\x03",
    12: lambda bmc: _address(bmc.lan.gateway),
    13: lambda _bmc: bytes(6),
    14: lambda _bmc: bytes(4),
    15: lambda _bmc: bytes(6),
    16: lambda _bmc: b"public".ljust(18, b"\0"),
    20: lambda _bmc: bytes(2),
    21: lambda _bmc: bytes(1),
    22: lambda _bmc: bytes([len(SUITES)]),
    23: _suites,
    24: lambda _bmc: bytes([0, 0x44]).ljust(9, b"\0"),  # both suites up to administrator
    26: lambda _bmc: bytes(6),
}


def get_parameter(bmc: Controller, request: Request, origin: Origin) -> bytes:
    if actual_channel(request.data[0], origin) != LAN_CHANNEL:
        raise Refused(Code.INVALID_FIELD)
    if request.data[0] & 0x80:
        return bytes([REVISION])
    number = request.data[1]
    if number not in READERS:
        raise Refused(UNSUPPORTED_PARAMETER)
    return bytes([REVISION]) + bmc.lan_settings.get(number, READERS[number](bmc))


def set_parameter(bmc: Controller, request: Request, origin: Origin) -> bytes:
    """Kept and read back; the socket stays where the lab put it."""
    if actual_channel(request.data[0], origin) != LAN_CHANNEL:
        raise Refused(Code.INVALID_FIELD)
    number, data = request.data[1], request.data[2:]
    if number not in WRITABLE:
        raise Refused(UNSUPPORTED_PARAMETER)
    if len(data) != WRITABLE[number]:
        raise Refused(Code.DATA_LENGTH_INVALID)
    if number != SET_IN_PROGRESS:
        bmc.lan_settings[number] = data
    return b""


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.TRANSPORT, 0x01): (ADMINISTRATOR, set_parameter),
    (NetFn.TRANSPORT, 0x02): (OPERATOR, get_parameter),
}
