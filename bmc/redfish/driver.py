"""What the appliance sees of a Redfish service: the capabilities of `bmc.api` but the serial console.

Schemas of DMTF DSP0268: ComputerSystem, Chassis (Thermal, Power), Manager, EthernetInterface, LogService.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bmc.errors import Nonsense, Unsupported
from bmc.redfish.client import ROOT, Json, RedfishClient
from bmc.redfish.readings import event, sensors
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

RESET_TYPES: Mapping[PowerAction, str] = {
    PowerAction.ON: "On",
    PowerAction.OFF: "ForceOff",
    PowerAction.SOFT_OFF: "GracefulShutdown",
    PowerAction.RESET: "ForceRestart",
    PowerAction.CYCLE: "PowerCycle",
}
POWER: Mapping[str, PowerState] = {
    "On": PowerState.ON,
    "PoweringOff": PowerState.ON,
    "Paused": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.OFF,
}
TARGETS: Mapping[BootDevice, str] = {
    BootDevice.NONE: "None",
    BootDevice.PXE: "Pxe",
    BootDevice.DISK: "Hdd",
    BootDevice.CDROM: "Cd",
    BootDevice.BIOS: "BiosSetup",
}
DEVICES = {name: device for device, name in TARGETS.items()}
MODES = {True: "UEFI", False: "Legacy"}
FRU_NAMES = {
    "Manufacturer": "Manufacturer", "Model": "Product name", "SerialNumber": "Serial Number",
    "PartNumber": "Part Number", "SKU": "SKU", "AssetTag": "Asset Tag", "BiosVersion": "BIOS version",
}  # fmt: skip
LOG_MAX = 500
LED_ON, LED_OFF = "Blinking", "Off"


class RedfishBmc:
    """options of the target: `system` (path of the ComputerSystem; needed where a service has several)."""

    def __init__(self, target: BmcTarget, *, client: RedfishClient) -> None:
        self._client = client
        named = target.options.get("system")
        self._system_path = named if isinstance(named, str) and named else None

    def close(self) -> None:
        self._client.close()

    # ---- power

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        with self._client.operation(deadline_s):
            return _power_state(self._system()[0])

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            system, _ = self._system()
            is_on = _power_state(system) is PowerState.ON
            if is_on and action is PowerAction.ON:
                return
            if not is_on and action in (PowerAction.OFF, PowerAction.SOFT_OFF):
                return
            if not is_on and action in (PowerAction.RESET, PowerAction.CYCLE):
                raise Unsupported("The machine is off; it can only be turned on.")
            self._reset(system, RESET_TYPES[action])

    def _reset(self, system: Json, kind: str) -> None:
        found = _dig(system, "Actions", "#ComputerSystem.Reset")
        path = _text(found, "target") or f"{_text(system, '@odata.id').rstrip('/')}/Actions/ComputerSystem.Reset"
        allowed = found.get("ResetType@Redfish.AllowableValues")
        if isinstance(allowed, list) and allowed and kind not in allowed:
            raise Unsupported(f"The BMC cannot do {kind}; it offers {', '.join(map(str, allowed[:20]))}.")
        self._client.ask("POST", path, {"ResetType": kind})

    # ---- boot device

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        with self._client.operation(deadline_s):
            return _boot(self._system()[0])

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            system, etag = self._system()
            wish: Json = {"BootSourceOverrideTarget": TARGETS[override.device]}
            if override.device is BootDevice.NONE:
                wish["BootSourceOverrideEnabled"] = "Disabled"
            else:
                wish["BootSourceOverrideEnabled"] = "Continuous" if override.persistent else "Once"
                if "BootSourceOverrideMode" in _dig(system, "Boot"):
                    wish["BootSourceOverrideMode"] = MODES[override.is_uefi]
            self._client.ask("PATCH", _text(system, "@odata.id"), {"Boot": wish}, etag=etag)
            read = _boot(self._system()[0])
        wanted = BootOverride(device=override.device) if override.device is BootDevice.NONE else override
        if read != wanted:
            raise Unsupported(f"The BMC accepted the boot device and ignored it: asked {wanted}, reads {read}.")

    # ---- identity

    def info(self, *, deadline_s: float = 10.0) -> BmcInfo:
        with self._client.operation(deadline_s):
            system, manager = self._system()[0], self._manager()
        return BmcInfo(
            firmware_version=_text(manager, "FirmwareVersion"), ipmi_version="", manufacturer_id=0, product_id=0,
            guid=_text(system, "UUID") or None, cipher_suite=None,
        )  # fmt: skip

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo:
        with self._client.operation(deadline_s):
            one = self._first(self._manager(), "EthernetInterfaces")
        entries = one.get("IPv4Addresses")
        address = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
        return LanInfo(
            address=_text(address, "Address"), netmask=_text(address, "SubnetMask"), gateway=_text(address, "Gateway"),
            mac=(_text(one, "MACAddress") or _text(one, "PermanentMACAddress")).lower(),
            source=_text(address, "AddressOrigin").lower(),
        )  # fmt: skip

    # ---- inventory

    def sensors(self, *, deadline_s: float = 30.0) -> list[Sensor]:
        with self._client.operation(deadline_s):
            chassis = self._chassis()
            return [found for part in ("Thermal", "Power") for found in sensors(self._follow(chassis, part))]

    def event_log(self, *, deadline_s: float = 30.0) -> list[SelEntry]:
        with self._client.operation(deadline_s):
            holder = self._manager()
            if "LogServices" not in holder:
                holder = self._system()[0]
            entries = self._follow(self._first(holder, "LogServices"), "Entries")
        rows = entries.get("Members")
        rows = rows[-LOG_MAX:] if isinstance(rows, list) else []
        return [event(row, number, _clock) for number, row in enumerate(rows, 1) if isinstance(row, dict)]

    def fru(self, *, deadline_s: float = 30.0) -> dict[str, str]:
        with self._client.operation(deadline_s):
            system, _ = self._system()
        return {shown: _text(system, key) for key, shown in FRU_NAMES.items() if _text(system, key)}

    def identify(self, *, on_s: int, deadline_s: float = 10.0) -> None:
        """Redfish knows no time: the light stays on until it is turned off."""
        with self._client.operation(deadline_s):
            system, etag = self._system()
            if "LocationIndicatorActive" in system:
                wish: Json = {"LocationIndicatorActive": on_s > 0}
            elif "IndicatorLED" in system:
                wish = {"IndicatorLED": LED_ON if on_s > 0 else LED_OFF}
            else:
                raise Unsupported("The BMC has no identify light.")
            self._client.ask("PATCH", _text(system, "@odata.id"), wish, etag=etag)

    # ---- the resources

    def _system(self) -> tuple[Json, str | None]:
        if self._system_path is None:
            members = _members(self._client.ask("GET", ROOT + "Systems")[0])
            if len(members) != 1:
                raise Unsupported(f"The service has {len(members)} systems: name one, one of {', '.join(members[:8])}.")
            self._system_path = members[0]
        return self._client.ask("GET", self._system_path)

    def _manager(self) -> Json:
        return self._linked("ManagedBy", "Managers")

    def _chassis(self) -> Json:
        return self._linked("Chassis", "Chassis")

    def _linked(self, link: str, collection: str) -> Json:
        """What the system's links name, else the first of its kind."""
        linked = _dig(self._system()[0], "Links").get(link)
        paths = [_text(one, "@odata.id") for one in linked if isinstance(one, dict)] if isinstance(linked, list) else []
        paths = paths or _members(self._client.ask("GET", ROOT + collection)[0])
        if not paths:
            raise Unsupported(f"The service has no {collection}.")
        return self._client.ask("GET", paths[0])[0]

    def _follow(self, resource: Json, name: str) -> Json:
        path = _text(_dig(resource, name), "@odata.id")
        if not path:
            raise Unsupported(f"The BMC has no {name}.")
        return self._client.ask("GET", path)[0]

    def _first(self, resource: Json, name: str) -> Json:
        members = _members(self._follow(resource, name))
        if not members:
            raise Unsupported(f"The BMC has no {name}.")
        return self._client.ask("GET", members[0])[0]


def _power_state(system: Json) -> PowerState:
    said = system.get("PowerState")
    if not isinstance(said, str) or said not in POWER:
        raise Nonsense("The BMC does not say whether the machine is on.")
    return POWER[said]


def _boot(system: Json) -> BootOverride:
    boot = _dig(system, "Boot")
    enabled, target = _text(boot, "BootSourceOverrideEnabled"), _text(boot, "BootSourceOverrideTarget")
    if enabled not in {"Once", "Continuous"} or target in {"", "None"}:
        return BootOverride(device=BootDevice.NONE)
    if target not in DEVICES:
        raise Unsupported(f"The BMC is set to boot from a device we do not know: {target[:40]}.")
    is_uefi = _text(boot, "BootSourceOverrideMode") == MODES[True]
    return BootOverride(device=DEVICES[target], persistent=enabled == "Continuous", is_uefi=is_uefi)


def _members(collection: Json) -> list[str]:
    found = collection.get("Members")
    paths = [_text(one, "@odata.id") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [path for path in paths if path]


def _dig(value: Json, *keys: str) -> Json:
    """The object below the keys; an empty one where there is none."""
    found: Any = value
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Json, key: str) -> str:
    found = value.get(key)
    return found[:1000] if isinstance(found, str) else ""


def _clock(text: str) -> int | None:
    """Seconds since 1970 of a timestamp as Redfish writes it (ISO 8601 with a zone)."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(read.timestamp()) if read.tzinfo is not None else None
