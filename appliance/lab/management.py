"""One machine's standby side: its BMC on the network, and behind the KCS port that its operating system sees."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from appliance.lab.hardware import Hardware, PowerEvent
from appliance.lab.spec import NodeSpec
from bmc.types import LanInfo
from bmc.virtual import kcs
from bmc.virtual.sel import Event
from bmc.virtual.server import VirtualBmc

# IPMI 2.0 table 42-3: power unit, and "system boot / restart initiated" with its offsets.
_POWER_UNIT = 0x09
_POWER_OFF = 0x00
_SYSTEM_BOOT = 0x1D
_WARM_RESET = 0x02
_POWER_SENSOR = 0x10
_BOOT_SENSOR = 0x11


class Management:
    """`start` and `stop` may be repeated: unplugged, the BMC loses its sessions but keeps its users."""

    def __init__(self, node: NodeSpec, hardware: Hardware, *, kcs_path: Path) -> None:
        self._kcs_path = kcs_path
        self._close_kcs: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._bmc = VirtualBmc(
            hardware,
            address=node.bmc_address,
            users={node.bmc_username: node.bmc_password},
            guid=uuid.UUID(node.uuid),
            lan=lan_settings(node),
            serial=node.serial,
            product="Lab",
        )

    def start(self) -> None:
        """Raises OSError when the address or the KCS socket cannot be bound."""
        with self._lock:
            if self._close_kcs is not None:
                return
            self._bmc.start()
            self._close_kcs = kcs.attach(self._kcs_path, self._bmc)

    def stop(self) -> None:
        with self._lock:
            if self._close_kcs is None:
                return
            self._close_kcs()
            self._close_kcs = None
            self._bmc.stop()

    def is_running(self) -> bool:
        return self._close_kcs is not None

    def record(self, event: PowerEvent) -> None:
        """What the machine did without being told by this BMC; the BMC logs its own commands itself."""
        match event:
            case PowerEvent.BUTTON:
                self._bmc.guest_rebooted()
                self._log(_POWER_UNIT, _POWER_SENSOR, _POWER_OFF, is_deassertion=True)
            case PowerEvent.SELF_OFF:
                self._log(_POWER_UNIT, _POWER_SENSOR, _POWER_OFF)
            case PowerEvent.SELF_RESET:
                self._bmc.guest_rebooted()
                self._log(_SYSTEM_BOOT, _BOOT_SENSOR, _WARM_RESET)

    def _log(self, sensor_type: int, sensor: int, offset: int, *, is_deassertion: bool = False) -> None:
        self._bmc.log_event(
            Event(sensor_type=sensor_type, sensor_number=sensor, offset=offset, is_deassertion=is_deassertion)
        )


def lan_settings(node: NodeSpec) -> LanInfo:
    """What the BMC says of its own network; its MAC is the machine's in a range of its own."""
    return LanInfo(
        address=node.bmc_address,
        netmask="255.255.255.0",
        gateway="0.0.0.0",  # how IPMI says "none"
        mac=node.mac[:9] + "62" + node.mac[11:],
        source="static",
    )
