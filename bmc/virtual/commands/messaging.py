"""What the guest's `ipmi_si` driver asks of its KCS interface when it starts (§22.1-22.8)."""

from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.virtual.commands.privilege import ADMINISTRATOR, USER
from bmc.virtual.controller import GUEST, Controller, Handler, Origin
from bmc.virtual.errors import Refused

NOTHING_QUEUED = 0x80


def _guest_only(origin: Origin) -> None:
    if origin is not GUEST:
        raise Refused(Code.INVALID_COMMAND)


def set_global_enables(bmc: Controller, request: Request, origin: Origin) -> bytes:
    _guest_only(origin)
    bmc.global_enables = request.data[0]
    return b""


def global_enables(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return bytes([bmc.global_enables])


def clear_message_flags(_bmc: Controller, request: Request, origin: Origin) -> bytes:
    _guest_only(origin)
    _ = request.data[0]
    return b""


def message_flags(_bmc: Controller, _request: Request, origin: Origin) -> bytes:
    _guest_only(origin)
    return b"\x00"


def nothing_queued(_bmc: Controller, _request: Request, origin: Origin) -> bytes:
    _guest_only(origin)
    raise Refused(NOTHING_QUEUED)


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.APP, 0x2E): (ADMINISTRATOR, set_global_enables),
    (NetFn.APP, 0x2F): (USER, global_enables),
    (NetFn.APP, 0x30): (ADMINISTRATOR, clear_message_flags),
    (NetFn.APP, 0x31): (ADMINISTRATOR, message_flags),
    (NetFn.APP, 0x33): (ADMINISTRATOR, nothing_queued),
    (NetFn.APP, 0x35): (ADMINISTRATOR, nothing_queued),
}
