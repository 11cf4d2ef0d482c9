"""Users (§22.26-22.31)."""

from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.virtual.commands.application import actual_channel
from bmc.virtual.commands.privilege import ADMINISTRATOR, OPERATOR
from bmc.virtual.controller import Controller, Handler, Origin
from bmc.virtual.errors import Refused
from bmc.virtual.users import NAME_BYTES, NO_ACCESS, SLOTS

DISABLE, ENABLE, SET_PASSWORD, TEST_PASSWORD = range(4)
WRONG_PASSWORD = 0x80


def get_access(bmc: Controller, request: Request, origin: Origin) -> bytes:
    actual_channel(request.data[0], origin)
    user = bmc.users.slot(request.data[1] & 0x3F)
    state = 0x40 if user.is_enabled else 0x80
    fixed_names = 1
    rights = (
        user.privilege
        | (0x10 if user.may_message else 0)
        | (0x20 if user.may_link else 0)
        | (0x40 if user.is_callback_only else 0)
    )
    return bytes([SLOTS, state | bmc.users.enabled_count(), fixed_names, rights])


def set_access(bmc: Controller, request: Request, origin: Origin) -> bytes:
    rights, number, limit = request.data[0], request.data[1] & 0x3F, request.data[2] & 0x0F
    actual_channel(rights, origin)
    user = bmc.users.slot(number)
    if limit > ADMINISTRATOR and limit != NO_ACCESS:
        raise Refused(Code.INVALID_FIELD)
    if rights & 0x80:
        user.may_message = bool(rights & 0x10)
        user.may_link = bool(rights & 0x20)
        user.is_callback_only = bool(rights & 0x40)
    user.privilege = limit
    return b""


def get_name(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    return bmc.users.slot(request.data[0] & 0x3F).name.ljust(NAME_BYTES, b"\0")


def set_name(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    if len(request.data) != 1 + NAME_BYTES:
        raise Refused(Code.DATA_LENGTH_INVALID)
    bmc.users.rename(request.data[0] & 0x3F, request.data[1:])
    return b""


def set_password(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    number, operation, password = request.data[0] & 0x3F, request.data[1] & 3, request.data[2:]
    user = bmc.users.slot(number)
    if operation in (SET_PASSWORD, TEST_PASSWORD):
        if len(password) != (20 if request.data[0] & 0x80 else 16):
            raise Refused(Code.DATA_LENGTH_INVALID)
        if operation == SET_PASSWORD:
            user.password = password.rstrip(b"\0")
        elif not bmc.users.test_password(number, password):
            raise Refused(WRONG_PASSWORD)
        return b""
    if number == 1 and operation == ENABLE:
        raise Refused(Code.INVALID_FIELD)  # the nameless user stays out
    user.is_enabled = operation == ENABLE
    return b""


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.APP, 0x43): (ADMINISTRATOR, set_access),
    (NetFn.APP, 0x44): (OPERATOR, get_access),
    (NetFn.APP, 0x45): (ADMINISTRATOR, set_name),
    (NetFn.APP, 0x46): (OPERATOR, get_name),
    (NetFn.APP, 0x47): (ADMINISTRATOR, set_password),
}
