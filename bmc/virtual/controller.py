"""The virtual BMC itself, without any network: state, and one function that executes one IPMI command.

LAN sessions (`sessions`) and the guest's own KCS interface (`kcs`) both end here, so both see the same users, LAN
settings and event log. `execute` holds the controller's lock; commands that change power are handed to a thread of
their own, which never takes that lock, as `Machine.power_on` may take a second.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from uuid import UUID

from bmc.rmcp.message import Code, Request, Response
from bmc.types import BootDevice, LanInfo
from bmc.virtual.boot import BootOptions
from bmc.virtual.errors import Refused
from bmc.virtual.fru import inventory
from bmc.virtual.needs import Machine
from bmc.virtual.sel import Event, EventLog
from bmc.virtual.sensors import SensorRepository, standard_sensors
from bmc.virtual.users import ADMINISTRATOR, Users

log = logging.getLogger(__name__)

LAN_CHANNEL = 1
SYSTEM_CHANNEL = 0x0F
SETTLE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asks: by which channel, as which user (0 = the guest itself), at which privilege, in which session."""

    channel: int
    user_id: int
    privilege: int
    session_id: int = 0


GUEST = Origin(channel=SYSTEM_CHANNEL, user_id=0, privilege=ADMINISTRATOR)
Handler = Callable[["Controller", Request, Origin], bytes]


class Controller:
    """`commands`: (network function, command) -> (least privilege, handler)."""

    def __init__(
        self,
        machine: Machine,
        *,
        commands: Mapping[tuple[int, int], tuple[int, Handler]],
        users: Mapping[str, str],
        guid: UUID,
        lan: LanInfo,
        udp_port: int,
        serial: str,
        product: str,
        manufacturer: str = "Rackwright",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.machine = machine
        self.lock = threading.RLock()
        self.guid = guid
        self.lan = lan
        self.udp_port = udp_port
        self.users = Users(users)
        self.events = EventLog()
        self.sensors = SensorRepository(standard_sensors(machine.is_on))
        self.fru = inventory(manufacturer=manufacturer, product=product, serial=serial)
        self.boot = BootOptions()
        self.lan_settings: dict[int, bytes] = {}
        self.persistent_boot = BootDevice.NONE
        self.is_identifying = False
        self.last_power_event = 0
        self.global_enables = 0x0B
        self.session_ids: Callable[[], list[int]] = list
        self.sol_session_id = 0
        self.console_sink: Callable[[bytes], None] | None = None
        self._commands = commands
        self._clock = clock
        self._clock_offset = 0
        self._actions: ThreadPoolExecutor | None = None

    def now_s(self) -> int:
        return int(self._clock()) + self._clock_offset

    def set_time(self, now_s: int) -> None:
        self._clock_offset = now_s - int(self._clock())

    def execute(self, request: Request, origin: Origin) -> Response:
        with self.lock:
            least, handler = self._commands.get((request.netfn, request.command), (0, None))
            if handler is None:
                return Response(code=Code.INVALID_COMMAND)
            if origin.privilege < least:
                return Response(code=Code.INSUFFICIENT_PRIVILEGE)
            try:
                return Response(code=Code.OK, data=handler(self, request, origin))
            except Refused as refusal:
                return Response(code=refusal.code)
            except IndexError:
                # The only indexing that handlers do unguarded is into the request.
                return Response(code=Code.DATA_LENGTH_INVALID)

    def log_event(self, event: Event) -> int:
        return self.events.add_event(event, self.now_s())

    def act(self, name: str, action: Callable[[], None]) -> None:
        """Do it on the action thread; a quick one is over when this returns, a slow one is not waited for."""
        if self._actions is None:
            self._actions = ThreadPoolExecutor(max_workers=1, thread_name_prefix="virtual-bmc-power")
        done = self._actions.submit(self._run, name, action)
        wait_for([done], timeout=SETTLE_S)

    def _run(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            log.warning("virtual machine refused action=%s error=%s", name, error)

    def booted(self) -> None:
        """The machine has started or was reset: flags for one boot are used up."""
        self.boot.used()

    def apply_boot_order(self) -> None:
        asked = self.boot.device
        if asked is not None and self.boot.is_persistent:
            self.persistent_boot, asked = asked, None
        self.machine.set_boot_order(once=asked, persistent=self.persistent_boot)

    def close(self) -> None:
        if self._actions is not None:
            self._actions.shutdown(wait=True)
            self._actions = None
