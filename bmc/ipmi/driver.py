"""What the appliance sees of an IPMI 2.0 BMC: all capabilities of `bmc.api`."""

import ipaddress
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pyghmi.constants import Health

from bmc.breaker import Breaker
from bmc.errors import BmcError, Nonsense, Unsupported
from bmc.ipmi.channel import Channel, Login
from bmc.ipmi.client import Client, wait
from bmc.ipmi.codes import fault_of_code
from bmc.ipmi.console import ACTIVATE, ALREADY_ACTIVE, DEACTIVATE, IpmiConsole
from bmc.ipmi.gate import LoginGate
from bmc.ipmi.loop import PyghmiLoop
from bmc.rmcp.message import Code, NetFn, Request, Response
from bmc.types import (
    BmcInfo,
    BmcTarget,
    BootDevice,
    BootOverride,
    LanInfo,
    PowerAction,
    PowerState,
    SelEntry,
    Sensor,
)

CHASSIS_STATUS = Request(netfn=NetFn.CHASSIS, command=0x01)
CONTROL: Mapping[PowerAction, int] = {
    PowerAction.OFF: 0,
    PowerAction.ON: 1,
    PowerAction.CYCLE: 2,
    PowerAction.RESET: 3,
    PowerAction.SOFT_OFF: 5,
}
PULSE_DIAGNOSTIC_INTERRUPT = 4
# Sent twice these would happen twice.
NOT_REPEATABLE = frozenset({PowerAction.CYCLE, PowerAction.RESET, PowerAction.SOFT_OFF})
BOOT_NAMES: Mapping[BootDevice, str] = {
    BootDevice.NONE: "default",
    BootDevice.PXE: "network",
    BootDevice.DISK: "hd",
    BootDevice.CDROM: "optical",
    BootDevice.BIOS: "setup",
}
BOOT_DEVICES = {name: device for device, name in BOOT_NAMES.items()}
IDENTIFY_FOR_EVER_S = 255
CLOCK_WAS_SET = 0x20000000  # §37.1: below, the clock counts from the BMC's start


class IpmiBmc:
    def __init__(self, target: BmcTarget, *, loop: PyghmiLoop, gate: LoginGate, breaker: Breaker) -> None:
        login = Login(
            address=target.address, udp_port=target.udp_port, username=target.username, password=target.password
        )
        self._loop = loop
        self._channel = Channel(login, loop=loop, gate=gate, breaker=breaker)
        self._client = Client(self._channel)

    def close(self) -> None:
        self._channel.close()

    # ---- power

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        deadline = time.monotonic() + deadline_s
        return wait(self.power_state_later(deadline_s=deadline_s), deadline)

    def power_state_later(self, *, deadline_s: float = 10.0) -> "Future[PowerState]":
        """As `power_state`, without a thread that waits. It asks once, also when the BMC says that it is busy."""
        later: Future[PowerState] = Future()

        def answered(done: "Future[Response]") -> None:
            try:
                later.set_result(_power_state(done.result()))
            except BmcError as error:
                later.set_exception(error)

        self._channel.submit(CHASSIS_STATUS, deadline=time.monotonic() + deadline_s).add_done_callback(answered)
        return later

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            is_on = self._client.ask(CHASSIS_STATUS, least=1)[0] & 1
            if not is_on and action in (PowerAction.OFF, PowerAction.SOFT_OFF):
                return
            if not is_on and action in (PowerAction.RESET, PowerAction.CYCLE):
                raise Unsupported("The machine is off; it can only be turned on.")
            request = Request(netfn=NetFn.CHASSIS, command=0x02, data=bytes([CONTROL[action]]))
            self._client.ask(request, may_repeat=action not in NOT_REPEATABLE)

    def interrupt(self, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            if not self._client.ask(CHASSIS_STATUS, least=1)[0] & 1:
                raise Unsupported("The machine is off; nothing in it can be interrupted.")
            request = Request(netfn=NetFn.CHASSIS, command=0x02, data=bytes([PULSE_DIAGNOSTIC_INTERRUPT]))
            self._client.ask(request, may_repeat=False)

    # ---- boot device

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        with self._client.operation(deadline_s):
            return self._read_boot()

    def _read_boot(self) -> BootOverride:
        read = self._client.get_bootdev()
        device = BOOT_DEVICES.get(read["bootdev"])
        if device is None:
            raise Unsupported(f"The BMC is set to boot from a device we do not know: {read['bootdev']}.")
        if device is BootDevice.NONE:
            return BootOverride(device=device)
        return BootOverride(device=device, persistent=read["persistent"], is_uefi=read["uefimode"])

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            self._client.set_bootdev(
                BOOT_NAMES[override.device], persist=override.persistent, uefiboot=override.is_uefi
            )
            read = self._read_boot()
        wanted = BootOverride(device=override.device) if override.device is BootDevice.NONE else override
        if read != wanted:
            raise Unsupported(f"The BMC accepted the boot device and ignored it: asked {wanted}, reads {read}.")

    # ---- identity

    def info(self, *, deadline_s: float = 10.0) -> BmcInfo:
        with self._client.operation(deadline_s):
            device = self._client.ask(Request(netfn=NetFn.APP, command=0x01), least=11)
            guid = self._guid()
        return BmcInfo(
            firmware_version=f"{device[2] & 0x7F}.{device[3]:02x}",
            ipmi_version=f"{device[4] & 0x0F}.{device[4] >> 4}",
            manufacturer_id=int.from_bytes(device[6:9], "little") & 0xFFFFF,
            product_id=int.from_bytes(device[9:11], "little"),
            guid=guid,
            cipher_suite=self._channel.cipher_suite,
        )

    def _guid(self) -> str | None:
        try:
            raw = self._client.ask(Request(netfn=NetFn.APP, command=0x37), least=16)[:16]
        except Unsupported:
            return None
        # The specification wants it backwards (§20.8); most BMCs send it as SMBIOS does. The version tells which.
        read = [uuid.UUID(bytes_le=raw), uuid.UUID(bytes=raw[::-1]), uuid.UUID(bytes=raw)]
        sound = [one for one in read if one.variant == uuid.RFC_4122 and one.version in range(1, 6)]
        return str((sound or read)[0])

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo:
        with self._client.operation(deadline_s):
            read = self._client.get_net_configuration(gateway_macs=False)
        address = read["ipv4_address"]
        network = ipaddress.IPv4Interface(address) if address else None
        return LanInfo(
            address=str(network.ip) if network else "",
            netmask=str(network.netmask) if network else "",
            gateway=read["ipv4_gateway"] or "",
            mac=read["mac_address"] or "",
            source=read["ipv4_configuration"].lower(),
        )

    # ---- inventory

    def sensors(self, *, deadline_s: float = 30.0) -> list[Sensor]:
        with self._client.operation(deadline_s):
            return [_sensor(reading) for reading in self._client.get_sensor_data()]

    def event_log(self, *, deadline_s: float = 30.0) -> list[SelEntry]:
        with self._client.operation(deadline_s):
            return [_sel_entry(event) for event in self._client.events()]

    def fru(self, *, deadline_s: float = 30.0) -> dict[str, str]:
        with self._client.operation(deadline_s):
            fields = self._client.fru_fields()
        return {name: str(value) for name, value in fields.items() if value and isinstance(value, str)}

    def identify(self, *, on_s: int, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            self._client.set_identify(duration=min(on_s, IDENTIFY_FOR_EVER_S))

    # ---- console

    def open_console(self, on_bytes: Callable[[bytes], None], *, deadline_s: float = 15.0) -> IpmiConsole:
        console = IpmiConsole(self._channel, self._loop, on_bytes)
        with self._client.operation(deadline_s) as deadline:
            response = self._activate(deadline)
            if response.code == ALREADY_ACTIVE:
                # Somebody else's console, or ours from before a crash: the operator who asks last gets it.
                self._client.ask(DEACTIVATE)
                response = self._activate(deadline)
            if response.code != Code.OK:
                raise fault_of_code(response.code)
            attached: Future[None] = Future()
            self._loop.call(lambda: _complete(attached, lambda: console.attach(response.data)))
            wait(attached, deadline)
        return console

    def _activate(self, deadline: float) -> Response:
        return wait(self._channel.submit(ACTIVATE, deadline=deadline), deadline)


def _complete(future: "Future[None]", work: Callable[[], None]) -> None:
    try:
        work()
    except (BmcError, ValueError, IndexError) as error:
        future.set_exception(error if isinstance(error, BmcError) else Nonsense())
    else:
        future.set_result(None)


def _power_state(response: Response) -> PowerState:
    if response.code != Code.OK:
        raise fault_of_code(response.code)
    if not response.data:
        raise Nonsense("The BMC's answer is too short.")
    return PowerState.ON if response.data[0] & 1 else PowerState.OFF


def _health(flags: int) -> str:
    if flags & (Health.Critical | Health.Failed):
        return "critical"
    return "warning" if flags & Health.Warning else "ok"


def _sensor(reading: Any) -> Sensor:
    return Sensor(
        name=reading.name,
        kind=reading.type,
        value=reading.value,
        unit=reading.units or "",
        health="unknown" if reading.unavailable else _health(reading.health),
    )


def _sel_entry(event: dict[str, Any]) -> SelEntry:
    timecode = event.get("timecode", 0)
    text = event.get("event") or "record of the vendor"
    if event.get("event_data"):
        text = f"{text} ({event['event_data']})"
    sensor = str(event.get("component") or "")
    if not sensor or sensor.startswith("Sensor "):  # pyghmi's name for one without a record
        sensor = event.get("component_type") or sensor
    return SelEntry(
        record_id=event["record_id"],
        at_s=timecode if CLOCK_WAS_SET <= timecode < 0xFFFFFFFF else None,
        sensor=sensor,
        event=str(text),
        severity=_health(event.get("severity", 0)),
    )
