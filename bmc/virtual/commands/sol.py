"""Serial over LAN: configuration and payload information (§24, §26). Activation itself is in `sessions`."""

import struct
from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.rmcp.packet import PayloadType
from bmc.virtual.commands.privilege import ADMINISTRATOR, USER
from bmc.virtual.controller import LAN_CHANNEL, Controller, Handler, Origin
from bmc.virtual.errors import Refused

REVISION = 0x11
UNSUPPORTED_PARAMETER = 0x80
BITS_115200 = 0x0A


def parameters(bmc: Controller) -> Mapping[int, bytes]:
    return {
        0: b"\x00",
        1: b"\x01",  # enabled
        2: bytes([0x80 | 0x40 | USER]),  # encryption and authentication forced
        3: bytes([4, 1]),  # gather 20 ms, send from 1 character on
        4: bytes([7, 50]),
        5: bytes([BITS_115200]),
        6: bytes([BITS_115200]),
        7: bytes([LAN_CHANNEL]),
        8: struct.pack("<H", bmc.udp_port),
    }


def get_parameter(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    number = request.data[1]
    known = parameters(bmc)
    if number not in known:
        raise Refused(UNSUPPORTED_PARAMETER)
    return bytes([REVISION]) + known[number]


def set_parameter(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    """Rates and the like change nothing for a virtual port; they are accepted so that provisioning scripts run."""
    if request.data[1] not in parameters(bmc):
        raise Refused(UNSUPPORTED_PARAMETER)
    return b""


def payload_support(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    """Standard payloads 0 (IPMI) and 1 (SOL), session set-up 10h-15h; no OEM ones (§24.8)."""
    return bytes([0x03, 0x00, 0x3F, 0x00, 0, 0, 0, 0])


def payload_version(_bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if request.data[1] not in (PayloadType.IPMI, PayloadType.SOL):
        raise Refused(0x80)
    return b"\x10"


def activation_status(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if request.data[0] & 0x3F != PayloadType.SOL:
        raise Refused(Code.INVALID_FIELD)
    return bytes([1, 1 if bmc.sol_session_id else 0, 0])


def instance_info(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if request.data[0] & 0x3F != PayloadType.SOL:
        raise Refused(Code.INVALID_FIELD)
    return struct.pack("<I", bmc.sol_session_id) + bytes([1 if bmc.sol_session_id else 0]) + bytes(7)


def user_access(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return bytes([0x02, 0, 0, 0])  # SOL for every user


def set_user_access(_bmc: Controller, request: Request, _origin: Origin) -> bytes:
    _ = request.data[1]
    return b""


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.APP, 0x4A): (USER, activation_status),
    (NetFn.APP, 0x4B): (USER, instance_info),
    (NetFn.APP, 0x4C): (ADMINISTRATOR, set_user_access),
    (NetFn.APP, 0x4D): (USER, user_access),
    (NetFn.APP, 0x4E): (USER, payload_support),
    (NetFn.APP, 0x4F): (USER, payload_version),
    (NetFn.TRANSPORT, 0x21): (ADMINISTRATOR, set_parameter),
    (NetFn.TRANSPORT, 0x22): (USER, get_parameter),
}
