"""The fake driver: nearly every capability, in memory, with delays and failures on demand.

Options of a target: `delay_s` (before each answer), `fail` (capability name -> share of calls that fail, e.g.
{"power": 0.1, "sensors": 1}), `error` (kind of the failure: unreachable, denied, unsupported, busy, nonsense),
`seed` (the failures repeat exactly), `power` ("on"/"off": the state at first sight, and again whenever it is told
otherwise than before), `ignore` (list of capabilities whose changes are accepted and not done).
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.types import (
    BmcInfo,
    BmcTarget,
    BootDevice,
    BootOverride,
    LanInfo,
    MediaKind,
    MediaSlot,
    PowerAction,
    PowerState,
    SelEntry,
    Sensor,
)

KINDS: Mapping[str, type[BmcError]] = {one.kind: one for one in (Unreachable, Denied, Unsupported, Busy, Nonsense)}
NO_OVERRIDE = BootOverride(device=BootDevice.NONE)
MEDIA_TYPES: Mapping[MediaKind, tuple[str, ...]] = {
    MediaKind.CDROM: ("CD", "DVD"),
    MediaKind.DISK: ("USBStick",),
    MediaKind.FLOPPY: ("Floppy",),
}
GREETING = b"fake console\r\n"


@dataclass(slots=True)
class FakeMachine:
    """told: the state that the options named last."""

    is_on: bool
    random: random.Random
    told: object = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    boot: BootOverride = NO_OVERRIDE
    identify_s: int = 0
    log: list[SelEntry] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    images: dict[MediaKind, str] = field(default_factory=dict)

    def believe(self, told: object) -> None:
        """Who keeps the record of the machine may have switched it without asking: its word counts when it is news."""
        if told in ("on", "off") and told != self.told:
            self.is_on, self.told = told == "on", told


class FakeMachines:
    """Their state is kept per address for as long as this object lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._machines: dict[str, FakeMachine] = {}

    def of(self, target: BmcTarget) -> FakeMachine:
        with self._lock:
            known = self._machines.get(target.address)
            if known is None:
                seed = f"{target.options.get('seed', 0)}/{target.address}"
                dice = random.Random(seed)  # noqa: S311  reproducible failures, not a secret
                known = FakeMachine(is_on=False, random=dice)
                self._machines[target.address] = known
            known.believe(target.options.get("power"))
            return known


class FakeConsole:
    """It greets and then echoes."""

    def __init__(self, on_bytes: Callable[[bytes], None]) -> None:
        self._on_bytes = on_bytes
        self._is_open = True
        on_bytes(GREETING)

    @property
    def is_open(self) -> bool:
        return self._is_open

    def write(self, data: bytes) -> None:
        if not self._is_open:
            raise Unreachable("The console is closed.")
        self._on_bytes(data)

    def close(self) -> None:
        self._is_open = False


class FakeBmc:
    def __init__(self, target: BmcTarget, machines: FakeMachines) -> None:
        self._address = target.address
        self._machine = machines.of(target)
        options = target.options
        delay, shares, ignored = options.get("delay_s", 0.0), options.get("fail", {}), options.get("ignore", ())
        self._delay_s = float(delay) if isinstance(delay, int | float) else 0.0
        self._shares = (
            {str(name): float(share) for name, share in shares.items()} if isinstance(shares, Mapping) else {}
        )
        self._ignored = {str(one) for one in ignored} if isinstance(ignored, list | tuple | set | frozenset) else set()
        self._kind = KINDS.get(str(options.get("error")), Unreachable)

    def close(self) -> None:
        """There is nothing to close."""

    def _enter(self, capability: str, deadline_s: float) -> None:
        """The delay and the failure that the options ask for."""
        if self._delay_s:
            time.sleep(min(self._delay_s, deadline_s))
        if self._delay_s >= deadline_s:
            raise Unreachable
        share = float(self._shares.get(capability, 0.0))
        with self._machine.lock:
            fails = share > 0 and self._machine.random.random() < share
        if fails:
            raise self._kind

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        self._enter("power_state", deadline_s)
        return PowerState.ON if self._machine.is_on else PowerState.OFF

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        self._enter("power", deadline_s)
        machine = self._machine
        with machine.lock:
            if not machine.is_on and action in (PowerAction.RESET, PowerAction.CYCLE):
                raise Unsupported("The machine is off; it can only be turned on.")
            machine.history.append(action.value)
            if "power" in self._ignored:
                return
            was_on, machine.is_on = machine.is_on, action not in (PowerAction.OFF, PowerAction.SOFT_OFF)
            is_start = machine.is_on and (not was_on or action is not PowerAction.ON)
            if is_start and not machine.boot.persistent:
                machine.boot = NO_OVERRIDE
            machine.log.append(_entry(len(machine.log) + 1, f"power {action.value}"))

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        self._enter("boot_override", deadline_s)
        return self._machine.boot

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        self._enter("set_boot_override", deadline_s)
        if "set_boot_override" in self._ignored:
            raise Unsupported("The BMC accepted the boot device and ignored it.")
        self._machine.boot = NO_OVERRIDE if override.device is BootDevice.NONE else override

    def media(self, *, deadline_s: float = 30.0) -> list[MediaSlot]:
        self._enter("media", deadline_s)
        images = self._machine.images
        return [
            MediaSlot(types=types, image=images.get(kind), is_inserted=kind in images)
            for kind, types in MEDIA_TYPES.items()
        ]

    def insert_media(self, kind: MediaKind, url: str, *, deadline_s: float = 60.0) -> None:
        self._enter("insert_media", deadline_s)
        self._machine.images[kind] = url

    def eject_media(self, kinds: Collection[MediaKind] | None = None, *, deadline_s: float = 60.0) -> None:
        self._enter("eject_media", deadline_s)
        for kind in MediaKind if kinds is None else kinds:
            self._machine.images.pop(kind, None)

    def info(self, *, deadline_s: float = 10.0) -> BmcInfo:
        self._enter("info", deadline_s)
        return BmcInfo(
            firmware_version="1.00", ipmi_version="2.0", manufacturer_id=0, product_id=0, guid=None, cipher_suite=None
        )

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo:
        self._enter("lan", deadline_s)
        return LanInfo(
            address=self._address, netmask="255.255.255.0", gateway="", mac="02:00:00:00:00:01", source="static"
        )

    def sensors(self, *, deadline_s: float = 30.0) -> list[Sensor]:
        self._enter("sensors", deadline_s)
        is_on = self._machine.is_on
        return [
            Sensor(name="Inlet Temp", kind="Temperature", value=23.0 if is_on else 21.0, unit="°C", health="ok"),
            Sensor(name="Fan 1", kind="Fan", value=5400.0 if is_on else 0.0, unit="RPM", health="ok"),
        ]

    def event_log(self, *, deadline_s: float = 30.0) -> list[SelEntry]:
        self._enter("event_log", deadline_s)
        return list(self._machine.log)

    def fru(self, *, deadline_s: float = 30.0) -> dict[str, str]:
        self._enter("fru", deadline_s)
        return {"Manufacturer": "Rackwright", "Product name": "fake", "Serial Number": f"fake-{self._address}"}

    def identify(self, *, on_s: int, deadline_s: float = 10.0) -> None:
        self._enter("identify", deadline_s)
        self._machine.identify_s = on_s

    def open_console(self, on_bytes: Callable[[bytes], None], *, deadline_s: float = 15.0) -> FakeConsole:
        self._enter("open_console", deadline_s)
        return FakeConsole(on_bytes)


def _entry(record_id: int, event: str) -> SelEntry:
    return SelEntry(record_id=record_id, at_s=None, sensor="power", event=event, severity="ok")
