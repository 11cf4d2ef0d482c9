"""What a virtual Redfish service shows of its state: one JSON object per path, with what DSP0268 demands of each."""

from collections.abc import Callable
from typing import Any

from bmc.virtual.redfish_state import (
    CHASSIS,
    DEVICES,
    DRIVES,
    LOG,
    MANAGER,
    RESET,
    ROOT,
    SECURE_BOOT,
    SESSION_SERVICE,
    SESSIONS,
    SYSTEM,
    Json,
    Refusal,
    State,
    media_root,
)

_FINE = {"State": "Enabled", "Health": "OK"}
UUID = "12345678-1234-4234-8234-123456789abc"


def show(state: State, path: str, skip: int = 0) -> Json:
    """The resource at the path; of a collection, from its member `skip` on. Raises Refusal when there is none."""
    maker = _MAKERS.get(path)
    if maker is not None:
        found = maker(state)
    elif path.startswith(f"{media_root(state)}/") and path.rpartition("/")[2] in DRIVES:
        found = _drive(state, path.rpartition("/")[2])
    elif path == media_root(state):
        found = collection(*(f"{path}/{drive}" for drive in DRIVES))
    elif path.startswith(f"{LOG}/Entries/"):
        found = _entry(state, path)
    else:
        raise Refusal(404, "There is no such resource.", message_id="Base.1.18.ResourceMissingAtURI")
    shown = {"@odata.id": path, "Id": path.rpartition("/")[2], "Name": path.rpartition("/")[2], **found}
    if state.manners.etag == "body":
        shown["@odata.etag"] = f'"{state.version}"'
    return _page(shown, state.manners.page, skip)


def _page(shown: Json, size: int | None, skip: int) -> Json:
    members = shown.get("Members")
    if size is None or not isinstance(members, list):
        return shown
    page = {**shown, "Members": members[skip : skip + size]}
    if skip + size < len(members):
        page["Members@odata.nextLink"] = f"{shown['@odata.id']}?$skip={skip + size}"
    return page


def collection(*paths: str) -> Json:
    return {"Members": [link(path) for path in paths], "Members@odata.count": len(paths)}


def link(path: str) -> Json:
    return {"@odata.id": path}


def _root(state: State) -> Json:
    sessions = {"SessionService": link(SESSION_SERVICE), "Links": {"Sessions": link(SESSIONS)}}
    return {
        "@odata.id": f"{ROOT}/", "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.15.0", "UUID": UUID,
        "Systems": link(f"{ROOT}/Systems"), "Managers": link(f"{ROOT}/Managers"), "Chassis": link(f"{ROOT}/Chassis"),
        **(sessions if state.weather.has_sessions else {}),
    }  # fmt: skip


def _system(state: State) -> Json:
    manners = state.manners
    light: Json = {"IndicatorLED": state.led} if manners.led else {"LocationIndicatorActive": state.led != "Off"}
    action: Json = {"target": RESET}
    if manners.resets_in == "system":
        action["ResetType@Redfish.AllowableValues"] = list(manners.resets)
    elif manners.resets_in == "info":
        action["@Redfish.ActionInfo"] = f"{SYSTEM}/ResetActionInfo"
    return {
        "Name": "vnode", "UUID": UUID, "Manufacturer": manners.maker, "Model": "vnode", "SerialNumber": "SN-0001",
        "SystemType": "Physical", "Status": _FINE, "PowerState": "On" if state.machine.is_on() else "Off",
        "Boot": _boot(state) if manners.boot != "settings" else {}, **light,
        "SecureBoot": link(SECURE_BOOT), "Actions": {"#ComputerSystem.Reset": action},
        "Links": {"ManagedBy": [link(MANAGER)], "Chassis": [link(CHASSIS)]},
        **({"VirtualMedia": link(media_root(state))} if manners.media_in == "system" else {}),
        **({"@Redfish.Settings": {"SettingsObject": link(f"{SYSTEM}/Settings")}} if manners.boot == "settings" else {}),
    }  # fmt: skip


def _boot(state: State) -> Json:
    return {**state.boot, "BootSourceOverrideTarget@Redfish.AllowableValues": list(DEVICES)}


def _manager(state: State) -> Json:
    media = {"VirtualMedia": link(media_root(state))} if state.manners.media_in == "manager" else {}
    return {
        "Name": "Manager", "ManagerType": "BMC", "FirmwareVersion": "1.00", "Status": _FINE,
        "EthernetInterfaces": link(f"{MANAGER}/EthernetInterfaces"), "LogServices": link(f"{MANAGER}/LogServices"),
        "Links": {"ManagerForServers": [link(SYSTEM)], "ManagerForChassis": [link(CHASSIS)]}, **media,
    }  # fmt: skip


def _chassis(state: State) -> Json:
    parts = ("Sensors",) if state.manners.sensors else ("Thermal", "Power")
    return {
        "Name": "Chassis", "ChassisType": "RackMount", "Status": _FINE,
        "Links": {"ComputerSystems": [link(SYSTEM)], "ManagedBy": [link(MANAGER)]},
        **{part: link(f"{CHASSIS}/{part}") for part in parts},
    }  # fmt: skip


def _interface(_state: State) -> Json:
    address = {"Address": "10.0.0.5", "SubnetMask": "255.255.255.0", "Gateway": "10.0.0.1", "AddressOrigin": "Static"}
    return {"Name": "eth0", "MACAddress": "52:54:00:12:34:56", "IPv4Addresses": [address]}


def _thermal(state: State) -> Json:
    speed = 5400 if state.machine.is_on() else 0
    return {
        "Temperatures": [{"MemberId": "0", "Name": "Inlet Temp", "ReadingCelsius": 23.0, "Status": _FINE}],
        "Fans": [{"MemberId": "0", "Name": "Fan 1", "Reading": speed, "ReadingUnits": "RPM", "Status": _FINE}],
    }


def _power(state: State) -> Json:
    watts = 180 if state.machine.is_on() else 7
    return {"PowerControl": [{"MemberId": "0", "Name": "Chassis", "PowerConsumedWatts": watts}]}


def _sensor(name: str, kind: str, unit: str, value: float) -> Callable[[State], Json]:
    return lambda _state: {
        "Name": name, "ReadingType": kind, "ReadingUnits": unit, "Reading": value, "Status": _FINE
    }  # fmt: skip


def _entries(state: State) -> Json:
    rows: list[Any] = [{"@odata.id": f"{LOG}/Entries/{row['Id']}", **row} for row in state.events]
    if state.manners.log_links:
        rows = [link(row["@odata.id"]) for row in rows]
    return {"Members": rows, "Members@odata.count": len(rows)}


def _entry(state: State, path: str) -> Json:
    row = next((row for row in state.events if row["Id"] == path.rpartition("/")[2]), None)
    if row is None:
        raise Refusal(404, "There is no such entry.")
    return row


def _drive(state: State, drive: str) -> Json:
    path, image = f"{media_root(state)}/{drive}", state.images.get(drive)
    names = ("InsertMedia", "EjectMedia") if state.manners.media_by != "change" else ()
    actions = {f"#VirtualMedia.{name}": {"target": f"{path}/Actions/VirtualMedia.{name}"} for name in names}
    return {
        "Name": f"Virtual {drive}", "MediaTypes": DRIVES[drive], "Image": image, "Inserted": image is not None,
        "ConnectedVia": "URI" if image else "NotConnected", "WriteProtected": True, "Actions": actions,
    }  # fmt: skip


_MAKERS: dict[str, Callable[[State], Json]] = {
    ROOT: _root,
    f"{ROOT}/Systems": lambda state: collection(*(f"{ROOT}/Systems/{n + 1}" for n in range(state.manners.systems))),
    SYSTEM: _system,
    f"{SYSTEM}/Settings": lambda state: {"Boot": _boot(state)},
    f"{SYSTEM}/ResetActionInfo": lambda state: {
        "Parameters": [{"Name": "ResetType", "Required": True, "AllowableValues": list(state.manners.resets)}]
    },
    SECURE_BOOT: lambda state: {
        "SecureBootEnable": state.has_secure_boot,
        "SecureBootCurrentBoot": "Enabled" if state.has_secure_boot else "Disabled", "SecureBootMode": "UserMode",
    },
    f"{ROOT}/Managers": lambda _state: collection(MANAGER),
    MANAGER: _manager,
    f"{MANAGER}/EthernetInterfaces": lambda _state: collection(f"{MANAGER}/EthernetInterfaces/1"),
    f"{MANAGER}/EthernetInterfaces/1": _interface,
    f"{MANAGER}/LogServices": lambda _state: collection(f"{MANAGER}/LogServices/Audit", LOG),
    f"{MANAGER}/LogServices/Audit": lambda _state: {"Entries": link(f"{MANAGER}/LogServices/Audit/Entries")},
    f"{MANAGER}/LogServices/Audit/Entries": lambda _state: collection(),
    LOG: lambda _state: {"Entries": link(f"{LOG}/Entries")},
    f"{LOG}/Entries": _entries,
    f"{ROOT}/Chassis": lambda _state: collection(CHASSIS),
    CHASSIS: _chassis,
    f"{CHASSIS}/Thermal": _thermal,
    f"{CHASSIS}/Power": _power,
    f"{CHASSIS}/Sensors": lambda _state: collection(f"{CHASSIS}/Sensors/Inlet", f"{CHASSIS}/Sensors/Fan1"),
    f"{CHASSIS}/Sensors/Inlet": _sensor("Inlet Temp", "Temperature", "Cel", 23.0),
    f"{CHASSIS}/Sensors/Fan1": _sensor("Fan 1", "Rotational", "{rev}/min", 5400.0),
    SESSION_SERVICE: lambda _state: {"ServiceEnabled": True, "Sessions": link(SESSIONS)},
    SESSIONS: lambda state: collection(*state.tokens.values()),
}  # fmt: skip
