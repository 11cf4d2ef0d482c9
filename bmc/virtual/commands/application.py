"""Device, channel and session information (§20, §22)."""

import struct
from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.rmcp.suites import SUITES, CipherSuite
from bmc.virtual.commands.privilege import ADMINISTRATOR, NONE, USER
from bmc.virtual.controller import LAN_CHANNEL, SYSTEM_CHANNEL, Controller, Handler, Origin
from bmc.virtual.errors import Refused

# 343h would be Intel's; FFFFFFh and its like confuse clients, so: the number of the IPMI forum itself.
MANUFACTURER = 7154
PRODUCT = 0x5257
FIRMWARE = (1, 0x00)
CURRENT_CHANNEL = 0x0E
IPMI_FORUM = bytes([0xF2, 0x1B, 0x00])


def device_id(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    # Additional support: chassis, FRU inventory, SEL, SDR repository, sensors (§20.1).
    head = bytes([0x20, 0x01, FIRMWARE[0], FIRMWARE[1], 0x02, 0x8F])
    return head + MANUFACTURER.to_bytes(3, "little") + PRODUCT.to_bytes(2, "little") + bytes(4)


def self_test(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return b"\x55\x00"


def guid(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    """In the order of SMBIOS, as most BMCs send it, so that it is the system UUID that the agent reads."""
    return bmc.guid.bytes_le


def reset(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return b""


def actual_channel(number: int, origin: Origin) -> int:
    channel = origin.channel if number & 0x0F == CURRENT_CHANNEL else number & 0x0F
    if channel not in (LAN_CHANNEL, SYSTEM_CHANNEL):
        raise Refused(Code.INVALID_FIELD)
    return channel


def authentication_capabilities(_bmc: Controller, request: Request, origin: Origin) -> bytes:
    """IPMI 2.0 only: no 1.5 authentication type is offered, no anonymous and no nameless log-in (§22.13)."""
    channel = actual_channel(request.data[0], origin)
    wants_extended = bool(request.data[0] & 0x80)
    if request.data[1] & 0x0F > ADMINISTRATOR:
        raise Refused(Code.INVALID_FIELD)
    return bytes([channel, 0x80 if wants_extended else 0, 0x04, 0x02 if wants_extended else 0, 0, 0, 0, 0])


def suite_record(suite: CipherSuite) -> bytes:
    """§22.15.1, table 22-18: start of standard record, suite, then algorithms tagged by their two top bits."""
    return bytes([0xC0, suite.number, suite.authentication, 0x40 | suite.integrity, 0x80 | suite.confidentiality])


def cipher_suites(_bmc: Controller, request: Request, origin: Origin) -> bytes:
    """Sixteen octets at a time; the request's list index says which (§22.15)."""
    channel = actual_channel(request.data[0], origin)
    start = (request.data[2] & 0x3F) * 16
    ordered = [SUITES[number] for number in sorted(SUITES)]
    if request.data[2] & 0x80:
        records = b"".join(map(suite_record, ordered))
    else:
        tagged = ((one.authentication, 0x40 | one.integrity, 0x80 | one.confidentiality) for one in ordered)
        records = bytes(sorted({number for suite in tagged for number in suite}))
    return bytes([channel]) + records[start : start + 16]


def session_info(bmc: Controller, _request: Request, origin: Origin) -> bytes:
    active = len(bmc.session_ids())
    if not origin.session_id:
        return bytes([0, 4, active])
    head = bytes([origin.session_id & 0xFF, 4, active, origin.user_id, origin.privilege, 0x10 | origin.channel])
    return head + bytes(12)


def channel_access(_bmc: Controller, request: Request, origin: Origin) -> bytes:
    actual_channel(request.data[0], origin)
    if request.data[1] >> 6 not in (1, 2):
        raise Refused(Code.INVALID_FIELD)
    return bytes([0x22, ADMINISTRATOR])  # alerting off, always available


def set_channel_access(_bmc: Controller, request: Request, origin: Origin) -> bytes:
    """Accepted and kept as it is: there is one way in, and it is always open to administrators."""
    actual_channel(request.data[0], origin)
    return b""


def channel_info(bmc: Controller, request: Request, origin: Origin) -> bytes:
    channel = actual_channel(request.data[0], origin)
    if channel == SYSTEM_CHANNEL:
        return bytes([channel, 0x0C, 0x05, 0x00]) + IPMI_FORUM + bytes(2)
    return bytes([channel, 0x04, 0x01, 0x80 | len(bmc.session_ids()) & 0x3F]) + IPMI_FORUM + bytes(2)


def watchdog(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    """Present and stopped; the guest's driver asks when it loads (§27.7)."""
    return struct.pack("<BBBBHH", 0, 0, 0, 0, 0, 0)


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.APP, 0x01): (USER, device_id),
    (NetFn.APP, 0x02): (ADMINISTRATOR, reset),
    (NetFn.APP, 0x03): (ADMINISTRATOR, reset),
    (NetFn.APP, 0x04): (USER, self_test),
    (NetFn.APP, 0x08): (USER, guid),
    (NetFn.APP, 0x25): (USER, watchdog),
    (NetFn.APP, 0x37): (NONE, guid),
    (NetFn.APP, 0x38): (NONE, authentication_capabilities),
    (NetFn.APP, 0x3D): (USER, session_info),
    (NetFn.APP, 0x40): (ADMINISTRATOR, set_channel_access),
    (NetFn.APP, 0x41): (USER, channel_access),
    (NetFn.APP, 0x42): (USER, channel_info),
    (NetFn.APP, 0x54): (NONE, cipher_suites),
}
