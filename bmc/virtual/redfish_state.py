"""A virtual Redfish service without any network: its state, its resources, and what they do when they are told.

`Manners` are the ways in which services that sell differ from one another within the standard, and next to it.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bmc.types import BootDevice
from bmc.virtual.needs import Machine

ROOT = "/redfish/v1"
SYSTEM, MANAGER, CHASSIS = f"{ROOT}/Systems/1", f"{ROOT}/Managers/1", f"{ROOT}/Chassis/1"
RESET, SECURE_BOOT = f"{SYSTEM}/Actions/ComputerSystem.Reset", f"{SYSTEM}/SecureBoot"
SESSION_SERVICE = f"{ROOT}/SessionService"
SESSIONS = f"{SESSION_SERVICE}/Sessions"
LOG = f"{MANAGER}/LogServices/Sel"
RESETS = {"On": "power_on", "ForceOff": "power_off", "GracefulShutdown": "soft_off", "ForceRestart": "reset",
          "PowerCycle": "reset", "Nmi": "pulse_nmi"}  # fmt: skip
DEVICES = {"None": BootDevice.NONE, "Pxe": BootDevice.PXE, "Hdd": BootDevice.DISK, "Cd": BootDevice.CDROM,
           "BiosSetup": BootDevice.BIOS, "UsbCd": BootDevice.CDROM}  # fmt: skip
DRIVES = {"Cd": ["CD", "DVD"], "Usb": ["Floppy", "USBStick"]}
Json = dict[str, Any]


class Refusal(Exception):
    """An answer that says no. message_id: of the standard's registry, or a maker's; about: the property it is about."""

    def __init__(
        self, status: int, message: str = "", *, message_id: str = "Base.1.18.GeneralError", about: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message_id = message_id
        self.about = about


@dataclass(slots=True, kw_only=True)
class Weather:
    """What goes wrong. status: every answer; raw: the bytes of every answer; is_deaf: boot orders are not obeyed."""

    status: int | None = None
    raw: bytes | None = None
    delay_s: float = 0.0
    drip_s: float = 0.0
    location: str | None = None
    is_deaf: bool = False
    has_sessions: bool = True


@dataclass(slots=True, kw_only=True)
class Manners:
    """Ways of services in the field; the usual ones follow the standard.

    etag: `strong`; `weak`; `body` (in the resource alone); `refused` (any If-Match is 412); `none`, and 428 without an
    If-Match. tasks: so many looks at its monitor until an action is done; 0: at once. task_state: how tasks end.
    slash: paths without one at the end are redirected. page: rows per page of a collection. sessions: how many may be
    open. systems: members of Systems. resets: what is offered; resets_in: `system`, `info` (a resource of its own) or
    `nowhere`. boot: `usual`; `stays` (Once becomes Continuous); `once` (Continuous is refused); `changes` (what is so
    already is refused); `settings` (in Redfish.Settings); `busy` (the machine is in its self-test). media_in: `system`
    or `manager`; media_by: `action`, `change`, or `protocol` (the action wants to know how to fetch). led: IndicatorLED
    in place of LocationIndicatorActive. log_links: entries are only named. sensors: Sensors in place of Thermal.
    guarded: strangers are refused before anybody looks whether there is what they ask for.
    """

    etag: str = "strong"
    tasks: int = 0
    task_state: str = "Completed"
    slash: bool = False
    page: int | None = None
    sessions: int = 64
    systems: int = 1
    maker: str = "Rackwright"
    resets: tuple[str, ...] = tuple(RESETS)
    resets_in: str = "system"
    boot: str = "usual"
    media_in: str = "system"
    media_by: str = "action"
    led: bool = False
    log_links: bool = False
    sensors: bool = False
    guarded: bool = False


@dataclass(slots=True)
class State:
    machine: Machine
    users: Mapping[str, str]
    weather: Weather
    manners: Manners
    lock: threading.Lock = field(default_factory=threading.Lock)
    boot: Json = field(
        default_factory=lambda: {
            "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
        }
    )  # fmt: skip
    led: str = "Off"
    has_secure_boot: bool = False
    images: dict[str, str] = field(default_factory=dict)
    version: int = 1
    tokens: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)


def reset(state: State, body: Json) -> None:
    kind = str(body.get("ResetType"))
    if kind not in state.manners.resets or kind not in RESETS:
        raise Refusal(400, f"The value {kind} for ResetType is not known.")
    was_on = state.machine.is_on()
    if kind == "Nmi" and not was_on:
        raise Refusal(409, "The machine is off.")
    getattr(state.machine, RESETS[kind])()
    is_start = state.machine.is_on() and kind != "Nmi" and (not was_on or kind != "On")
    if is_start and state.boot["BootSourceOverrideEnabled"] == "Once":
        state.boot |= {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
    words = {"On": "turned on", "ForceOff": "turned off"}.get(kind, kind)
    state.events.append(
        {
            "Id": str(len(state.events) + 1), "Name": "entry", "Created": _stamp(),
            "EntryType": "SEL", "Severity": "OK", "Message": f"Power {words}", "SensorType": "System Power",
        }
    )  # fmt: skip


def _stamp() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat()


def change(state: State, path: str, body: Json) -> None:
    """A PATCH whose ETag was right."""
    if path == SECURE_BOOT:
        if not isinstance(body.get("SecureBootEnable"), bool):
            raise Refusal(400, "SecureBootEnable is true or false.")
        state.has_secure_boot = body["SecureBootEnable"]
        return
    if state.manners.boot == "busy":
        raise Refusal(400, "The system is in POST.", message_id="iLO.2.14.UnableToModifyDuringSystemPOST")
    if "LocationIndicatorActive" in body:
        state.led = "Blinking" if body["LocationIndicatorActive"] else "Off"
    if "IndicatorLED" in body:
        if body["IndicatorLED"] not in ("Lit", "Blinking", "Off"):
            raise Refusal(400, "IndicatorLED is Lit, Blinking or Off.")
        state.led = body["IndicatorLED"]
    if "Boot" in body:
        is_settings = path == f"{SYSTEM}/Settings"
        if is_settings != (state.manners.boot == "settings"):
            raise Refusal(405, "The boot settings are not changed here.")
        _set_boot(state, body["Boot"])


def _set_boot(state: State, wish: Json) -> None:
    if wish.get("BootSourceOverrideTarget", "None") not in DEVICES:
        raise Refusal(400, "The boot source is not known.")
    enabled, manner = wish.get("BootSourceOverrideEnabled"), state.manners.boot
    if manner == "once" and enabled == "Continuous":
        raise Refusal(400, "The value Continuous is not supported.")
    same = [key for key, value in wish.items() if key != "BootSourceOverrideTarget" and state.boot.get(key) == value]
    if manner == "changes" and same:
        raise Refusal(400, f"{same[0]} has this value already.")
    if state.weather.is_deaf:
        return
    state.boot |= wish
    if manner == "stays" and enabled == "Once":
        state.boot["BootSourceOverrideEnabled"] = "Continuous"
    device, now = DEVICES[state.boot["BootSourceOverrideTarget"]], state.boot["BootSourceOverrideEnabled"]
    state.machine.set_boot_order(
        once=device if now == "Once" else None, persistent=device if now == "Continuous" else BootDevice.NONE
    )


def media_root(state: State) -> str:
    return f"{SYSTEM if state.manners.media_in == 'system' else MANAGER}/VirtualMedia"


def media_act(state: State, drive: str, action: str, body: Json) -> None:
    """InsertMedia and EjectMedia; a drive must be empty before something is put in."""
    if state.manners.media_by == "change" or drive not in DRIVES:
        raise Refusal(404, "There is no such action.")
    if action == "VirtualMedia.EjectMedia":
        if state.images.pop(drive, None) is None:
            raise Refusal(409, "The drive is empty.")
        return
    if state.manners.media_by == "protocol" and "TransferProtocolType" not in body:
        name = "TransferProtocolType"
        raise Refusal(400, f"{name} is missing.", message_id="Base.1.18.ActionParameterMissing", about=name)
    _put_in(state, drive, body.get("Image"))


def media_change(state: State, drive: str, body: Json) -> None:
    if drive not in DRIVES:
        raise Refusal(404, "There is no such drive.")
    if body.get("Inserted"):
        _put_in(state, drive, body.get("Image"))
    else:
        state.images.pop(drive, None)


def _put_in(state: State, drive: str, image: object) -> None:
    if drive in state.images:
        raise Refusal(409, "The drive holds an image.")
    if not isinstance(image, str) or "://" not in image:
        raise Refusal(400, "Image is a URL.")
    state.images[drive] = image
