"""What the appliance sees of a Redfish service: the capabilities of `bmc.api` but the serial console.

Schemas of DMTF DSP0268: ComputerSystem, Chassis (Thermal, Power, Sensor), Manager, EthernetInterface, LogService,
VirtualMedia, SecureBoot.
"""

from collections.abc import Collection
from datetime import datetime

from bmc.errors import Unsupported
from bmc.redfish import boot, lights, media, power
from bmc.redfish.answers import Json
from bmc.redfish.client import RedfishClient
from bmc.redfish.readings import event, one_sensor, sensors
from bmc.redfish.tree import Tree, dig, text
from bmc.types import (
    BmcInfo,
    BmcTarget,
    BootOverride,
    Indicator,
    LanInfo,
    MediaKind,
    MediaSlot,
    PowerAction,
    PowerState,
    SelEntry,
    Sensor,
)

FRU_NAMES = {
    "Manufacturer": "Manufacturer", "Model": "Product name", "SerialNumber": "Serial Number",
    "PartNumber": "Part Number", "SKU": "SKU", "AssetTag": "Asset Tag", "BiosVersion": "BIOS version",
}  # fmt: skip
LOG_MAX, LOG_READ_MAX, LOG_LINKS_MAX = 500, 4000, 60
"""Entries shown; read (services give the newest first or last); and fetched one by one where only links are given."""
SENSORS_MAX = 100
HARDWARE_LOGS = ("sel", "iml", "log1", "standardlog")
"""The event log among a manager's logs, as makers call it; others keep what people did there."""


class RedfishBmc:
    """options of the target: `system` (path of the ComputerSystem; needed where a service has several)."""

    def __init__(self, target: BmcTarget, *, client: RedfishClient) -> None:
        named = target.options.get("system")
        self._client = client
        self._tree = Tree(client, named if isinstance(named, str) and named else None)

    def close(self) -> None:
        self._client.close()

    # ---- power

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        with self._client.operation(deadline_s):
            return power.state(self._tree.system()[0])

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            system, _ = self._tree.system()
            is_on = power.state(system) is PowerState.ON
            if is_on and action is PowerAction.ON:
                return
            if not is_on and action in (PowerAction.OFF, PowerAction.SOFT_OFF):
                return
            if not is_on and action in (PowerAction.RESET, PowerAction.CYCLE):
                raise Unsupported("The machine is off; it can only be turned on.")
            power.reset(self._tree, system, power.RESET_TYPES[action])

    def interrupt(self, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            system, _ = self._tree.system()
            if power.state(system) is PowerState.OFF:
                raise Unsupported("The machine is off; nothing in it can be interrupted.")
            power.reset(self._tree, system, power.INTERRUPT)

    # ---- boot

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        with self._client.operation(deadline_s):
            return boot.read(self._tree)

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            boot.write(self._tree, override)

    def secure_boot(self, *, deadline_s: float = 10.0) -> bool:
        with self._client.operation(deadline_s):
            return self._secure_boot()[0]["SecureBootEnable"] is True

    def set_secure_boot(self, *, on: bool, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            found, etag = self._secure_boot()
            if found["SecureBootEnable"] is not on:
                self._tree.change(found, {"SecureBootEnable": on}, etag)

    def _secure_boot(self) -> tuple[Json, str | None]:
        found, etag = self._tree.tagged(self._tree.path(self._tree.system()[0], "SecureBoot"))
        if not isinstance(found.get("SecureBootEnable"), bool):
            raise Unsupported("The BMC does not say whether secure boot is enabled.")
        return found, etag

    # ---- virtual media

    def media(self, *, deadline_s: float = 30.0) -> list[MediaSlot]:
        with self._client.operation(deadline_s):
            return media.slots(self._tree)

    def insert_media(self, kind: MediaKind, url: str, *, deadline_s: float = 60.0) -> None:
        with self._client.operation(deadline_s):
            media.insert(self._tree, kind, url)

    def eject_media(self, kinds: Collection[MediaKind] | None = None, *, deadline_s: float = 60.0) -> None:
        with self._client.operation(deadline_s):
            media.eject(self._tree, kinds)

    # ---- identity

    def info(self, *, deadline_s: float = 10.0) -> BmcInfo:
        """A service that shows no manager has no version of its firmware to show."""
        with self._client.operation(deadline_s):
            system = self._tree.system()[0]
            try:
                manager = self._tree.manager()
            except Unsupported:
                manager = {}
        return BmcInfo(
            firmware_version=text(manager, "FirmwareVersion"), ipmi_version="", manufacturer_id=0, product_id=0,
            guid=text(system, "UUID") or None, cipher_suite=None,
        )  # fmt: skip

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo:
        """Of the manager's first interface that has an address; of its first one when none has."""
        with self._client.operation(deadline_s):
            places = self._tree.members(self._tree.path(self._tree.manager(), "EthernetInterfaces"))[:4]
            found = [self._tree.get(path) for path in places]
        if not found:
            raise Unsupported("The BMC has no EthernetInterfaces.")
        one = next((one for one in found if text(_address(one), "Address") not in ("", "0.0.0.0")), found[0])
        address = _address(one)
        return LanInfo(
            address=text(address, "Address"), netmask=text(address, "SubnetMask"), gateway=text(address, "Gateway"),
            mac=(text(one, "MACAddress") or text(one, "PermanentMACAddress")).lower(),
            source=text(address, "AddressOrigin").lower(),
        )  # fmt: skip

    # ---- inventory

    def sensors(self, *, deadline_s: float = 30.0) -> list[Sensor]:
        """Of Thermal and Power; where a service has neither any more, of the chassis' Sensors."""
        with self._client.operation(deadline_s):
            chassis, tree = self._tree.chassis(), self._tree
            parts = [part for part in ("Thermal", "Power") if text(dig(chassis, part), "@odata.id")]
            if parts:
                return [found for part in parts for found in sensors(tree.follow(chassis, part))]
            places = tree.members(tree.path(chassis, "Sensors"))[:SENSORS_MAX]
            return [one_sensor(tree.get(path)) for path in places]

    def event_log(self, *, deadline_s: float = 30.0) -> list[SelEntry]:
        """The oldest first, whatever the service's order."""
        with self._client.operation(deadline_s):
            rows = self._log_entries()
        found = [event(row, number, _clock) for number, row in enumerate(rows, 1)]
        if all(one.at_s is not None for one in found):
            found.sort(key=lambda one: (one.at_s or 0, one.record_id))
        return found[-LOG_MAX:]

    def _log_entries(self) -> list[Json]:
        tree, holder = self._tree, self._tree.manager()
        if "LogServices" not in holder:
            holder = tree.system()[0]
        logs = tree.members(tree.path(holder, "LogServices"))
        if not logs:
            raise Unsupported("The BMC has no LogServices.")
        log = next((path for path in logs if path.rstrip("/").rpartition("/")[2].lower() in HARDWARE_LOGS), logs[0])
        rows: list[Json] = []
        for row in tree.rows(tree.path(tree.get(log), "Entries")):
            is_link = "@odata.id" in row and len(row) == 1
            if len(rows) >= (LOG_LINKS_MAX if is_link else LOG_READ_MAX):
                break
            rows.append(tree.get(text(row, "@odata.id")) if is_link else row)
        return rows

    def fru(self, *, deadline_s: float = 30.0) -> dict[str, str]:
        with self._client.operation(deadline_s):
            system, _ = self._tree.system()
        return {shown: text(system, key) for key, shown in FRU_NAMES.items() if text(system, key)}

    # ---- lights

    def identify(self, *, on_s: int, deadline_s: float = 10.0) -> None:
        """Redfish knows no time: the light stays on until it is turned off."""
        with self._client.operation(deadline_s):
            lights.identify(self._tree, on=on_s > 0)

    def indicators(self, *, deadline_s: float = 10.0) -> list[Indicator]:
        with self._client.operation(deadline_s):
            return lights.found(self._tree)

    def set_indicator(self, component: str, name: str, state: str, *, deadline_s: float = 10.0) -> None:
        with self._client.operation(deadline_s):
            lights.switch(self._tree, component, name, state)


def _address(interface: Json) -> Json:
    entries = interface.get("IPv4Addresses")
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}


def _clock(text_: str) -> int | None:
    """Seconds since 1970 of a timestamp as Redfish writes it (ISO 8601 with a zone)."""
    try:
        read = datetime.fromisoformat(text_)
    except ValueError:
        return None
    return int(read.timestamp()) if read.tzinfo is not None else None
