"""Chassis: power, identify, boot options (§28)."""

from collections.abc import Callable, Mapping

from bmc.rmcp.message import Code, NetFn, Request
from bmc.virtual.boot import FLAGS
from bmc.virtual.commands.privilege import OPERATOR, USER
from bmc.virtual.controller import Controller, Handler, Origin
from bmc.virtual.errors import Refused
from bmc.virtual.sel import Event

POWER_UNIT, SYSTEM_BOOT = 0x09, 0x1D
EVENT_POWER_OFF, EVENT_POWER_CYCLE = 0x00, 0x01
EVENT_RESTART_BY_COMMAND = 0x07
PARAMETER_VERSION = 0x01
POWERED_ON_BY_COMMAND = 0x10


def capabilities(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return bytes([0x00, 0x20, 0x20, 0x20, 0x20])


def status(bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    policy_stays_off = 0x00
    identify = 0x40 | (0x10 if bmc.is_identifying else 0)
    return bytes([policy_stays_off | (1 if bmc.machine.is_on() else 0), bmc.last_power_event, identify])


def _off(bmc: Controller) -> None:
    if bmc.machine.is_on():
        bmc.machine.power_off()
        bmc.log_event(Event(sensor_type=POWER_UNIT, sensor_number=0x10, offset=EVENT_POWER_OFF))


def _on(bmc: Controller) -> None:
    if not bmc.machine.is_on():
        bmc.machine.power_on()
        bmc.last_power_event = POWERED_ON_BY_COMMAND
        bmc.booted()
        bmc.log_event(Event(sensor_type=POWER_UNIT, sensor_number=0x10, offset=EVENT_POWER_OFF, is_deassertion=True))


def _cycle(bmc: Controller) -> None:
    bmc.machine.power_off()
    bmc.machine.power_on()
    bmc.booted()
    bmc.log_event(Event(sensor_type=POWER_UNIT, sensor_number=0x10, offset=EVENT_POWER_CYCLE))


def _reset(bmc: Controller) -> None:
    bmc.machine.reset()
    bmc.booted()
    bmc.log_event(Event(sensor_type=SYSTEM_BOOT, sensor_number=0x11, offset=EVENT_RESTART_BY_COMMAND))


ACTIONS: Mapping[int, tuple[str, bool, Callable[[Controller], None]]] = {
    # control octet: (name, must the machine be on, what is done)
    0: ("off", False, _off),
    1: ("on", False, _on),
    2: ("cycle", True, _cycle),
    3: ("reset", True, _reset),
    4: ("interrupt", True, lambda bmc: bmc.machine.pulse_nmi()),
    5: ("soft off", True, lambda bmc: bmc.machine.soft_off()),
}


def control(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    found = ACTIONS.get(request.data[0] & 0x0F)
    if found is None:
        raise Refused(Code.INVALID_FIELD)
    name, must_be_on, action = found
    if must_be_on and not bmc.machine.is_on():
        raise Refused(Code.NOT_IN_THIS_STATE)
    bmc.act(name, lambda: action(bmc))
    return b""


def identify(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    """Interval in seconds (15 when absent), then `force on` (§28.5). The light has no timer here: 0 turns it off."""
    interval = request.data[0] if request.data else 15
    is_forced = len(request.data) > 1 and bool(request.data[1] & 1)
    bmc.is_identifying = interval > 0 or is_forced
    return b""


def restart_cause(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return b"\x01\x01"


def power_on_hours(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return b"\x3c" + bytes(4)


def restore_policy(_bmc: Controller, _request: Request, _origin: Origin) -> bytes:
    return b"\x01"  # supported: stay off


def get_boot_option(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    return bytes([PARAMETER_VERSION]) + bmc.boot.get(request.data[0] & 0x7F)


def set_boot_option(bmc: Controller, request: Request, _origin: Origin) -> bytes:
    parameter = request.data[0] & 0x7F
    bmc.boot.set(parameter, request.data[1:], is_invalid=bool(request.data[0] & 0x80))
    if parameter == FLAGS:
        bmc.apply_boot_order()
    return b""


COMMANDS: Mapping[tuple[int, int], tuple[int, Handler]] = {
    (NetFn.CHASSIS, 0x00): (USER, capabilities),
    (NetFn.CHASSIS, 0x01): (USER, status),
    (NetFn.CHASSIS, 0x02): (OPERATOR, control),
    (NetFn.CHASSIS, 0x04): (OPERATOR, identify),
    (NetFn.CHASSIS, 0x06): (OPERATOR, restore_policy),
    (NetFn.CHASSIS, 0x07): (USER, restart_cause),
    (NetFn.CHASSIS, 0x08): (OPERATOR, set_boot_option),
    (NetFn.CHASSIS, 0x09): (OPERATOR, get_boot_option),
    (NetFn.CHASSIS, 0x0F): (USER, power_on_hours),
}
