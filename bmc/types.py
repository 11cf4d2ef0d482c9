"""Values that every BMC driver speaks."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class PowerState(enum.Enum):
    ON = "power on"
    OFF = "power off"


class PowerAction(enum.Enum):
    """ON and OFF are at once; SOFT_OFF asks the operating system by ACPI; RESET keeps power; CYCLE drops it."""

    ON = "on"
    OFF = "off"
    SOFT_OFF = "soft-off"
    RESET = "reset"
    CYCLE = "cycle"


class BootDevice(enum.Enum):
    NONE = "none"  # no override: the firmware's own order
    PXE = "pxe"
    DISK = "disk"
    CDROM = "cdrom"
    BIOS = "bios"  # firmware set-up


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOverride:
    """IPMI 2.0 §28.13, boot flags: `persistent` lasts beyond the next boot; `is_uefi` asks for an EFI boot."""

    device: BootDevice
    persistent: bool = False
    is_uefi: bool = False


class MediaKind(enum.Enum):
    """What a virtual drive pretends to be."""

    CDROM = "cdrom"
    DISK = "disk"
    FLOPPY = "floppy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSlot:
    """A virtual drive. types: what may be put in, in Redfish's words (`CD`, `USBStick`); image: where it comes from."""

    types: tuple[str, ...]
    image: str | None
    is_inserted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A light. component: `system` or `chassis`; state: `on`, `off`, `blinking` or `unknown`; states: the possible."""

    component: str
    name: str
    state: str
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """value: in `unit`, None when the sensor is not readable. health: `ok`, `warning`, `critical` or `unknown`."""

    name: str
    kind: str
    value: float | None
    unit: str
    health: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelEntry:
    """One line of the system event log. at_s: BMC's own clock, seconds since 1970, or None before it was set."""

    record_id: int
    at_s: int | None
    sensor: str
    event: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanInfo:
    address: str
    netmask: str
    gateway: str
    mac: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BmcInfo:
    """What `verify` learns. cipher_suite: the IPMI 2.0 suite the session runs on (3 or 17; never 0)."""

    firmware_version: str
    ipmi_version: str
    manufacturer_id: int
    product_id: int
    guid: str | None
    cipher_suite: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BmcTarget:
    """Where a BMC is and how to log in. Two targets are the same BMC when driver, address and udp_port agree.

    options: driver-specific, for instance `{"delay_s": 0.2}` of the fake driver.
    """

    driver: str
    address: str
    udp_port: int = 623
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
