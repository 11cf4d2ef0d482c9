"""Commands that concern the session which carries them (§22.18, §22.19, §24.1, §24.2)."""

import struct
from collections.abc import Mapping

from bmc.rmcp.message import Code, NetFn, Request, Response
from bmc.rmcp.packet import PayloadType
from bmc.rmcp.sol import SolLink
from bmc.virtual.sessions import Session, SessionCommand, Sessions

# What fits beside headers in 255 octets, the size that all consoles can take.
SOL_DATA_BYTES = 200
NO_VLAN = 0xFFFF
PRIVILEGE_NOT_AVAILABLE, PRIVILEGE_OVER_LIMIT = 0x80, 0x81
NO_SUCH_SESSION = 0x87
ALREADY_ACTIVE, NEEDS_ENCRYPTION = 0x80, 0x84
ALREADY_INACTIVE = 0x80
ADMINISTRATOR = 4


def set_privilege(_sessions: Sessions, session: Session, request: Request) -> Response:
    wanted = request.data[0] & 0x0F
    assert session.user is not None
    if wanted == 1 or wanted > ADMINISTRATOR:
        return Response(code=Code.INVALID_FIELD)
    if wanted > session.user.privilege:
        return Response(code=PRIVILEGE_NOT_AVAILABLE)
    if wanted > session.limit:
        return Response(code=PRIVILEGE_OVER_LIMIT)
    session.privilege = wanted or session.privilege
    return Response(code=Code.OK, data=bytes([session.privilege]))


def close_session(sessions: Sessions, session: Session, request: Request) -> Response:
    number = int.from_bytes(request.data[:4], "little")
    if number == session.system_id:
        session.is_closing = True
        return Response(code=Code.OK)
    other = sessions.find(number)
    if other is None:
        return Response(code=NO_SUCH_SESSION)
    if session.privilege < ADMINISTRATOR:
        return Response(code=Code.INSUFFICIENT_PRIVILEGE)
    sessions.close(other)
    return Response(code=Code.OK)


def activate_payload(sessions: Sessions, session: Session, request: Request) -> Response:
    if len(request.data) != 6 or request.data[0] & 0x3F != PayloadType.SOL or request.data[1] & 0x0F != 1:
        return Response(code=Code.INVALID_FIELD)
    if not request.data[2] & 0x80:
        return Response(code=NEEDS_ENCRYPTION)
    if sessions.controller.sol_session_id:
        return Response(code=ALREADY_ACTIVE)
    sessions.start_sol(session, SolLink(max_data=SOL_DATA_BYTES))
    size = SOL_DATA_BYTES + 4
    data = struct.pack("<IHHHH", 0, size, size, sessions.controller.udp_port, NO_VLAN)
    return Response(code=Code.OK, data=data)


def deactivate_payload(sessions: Sessions, session: Session, request: Request) -> Response:
    """Any operator may end the console of another, as `ipmitool sol deactivate` does."""
    if len(request.data) != 6 or request.data[0] & 0x3F != PayloadType.SOL:
        return Response(code=Code.INVALID_FIELD)
    owner = sessions.find(sessions.controller.sol_session_id)
    if owner is None:
        return Response(code=ALREADY_INACTIVE)
    if owner is not session:
        sessions.tell_sol_is_over(owner)
    sessions.stop_sol(owner)
    return Response(code=Code.OK)


def cold_reset(sessions: Sessions, session: Session, _request: Request) -> Response:
    """The BMC starts anew: every session is gone, this one after its answer."""
    if session.privilege < ADMINISTRATOR:
        return Response(code=Code.INSUFFICIENT_PRIVILEGE)
    sessions.close_all(but=session)
    session.is_closing = True
    return Response(code=Code.OK)


SESSION_COMMANDS: Mapping[tuple[int, int], SessionCommand] = {
    (NetFn.APP, 0x02): cold_reset,
    (NetFn.APP, 0x3B): set_privilege,
    (NetFn.APP, 0x3C): close_session,
    (NetFn.APP, 0x48): activate_payload,
    (NetFn.APP, 0x49): deactivate_payload,
}
