"""Messages between the agent and the appliance: JSON over HTTPS, below /agent/v1.

Here: names and shapes, shared by both sides. Not here: transport (agent.transport) and meaning
(appliance.services.agents). Every length and count is capped by the constants below, and the appliance checks them.

    POST /agent/v1/lookup               Lookup -> LookupReply        {boot_secret} is the only credential
    POST /agent/v1/inventory            Inventory -> {}              from here: Authorization: Bearer SESSION
    POST /agent/v1/heartbeat            Heartbeat -> {"commands": n}
    GET  /agent/v1/command?wait=25      -> 200 Command, or 204 after wait seconds; an unfinished one comes again
    POST /agent/v1/command/UUID         CommandUpdate -> {"cancelled": bool}
    POST /agent/v1/log                  {"lines": [str]} -> {}

A 401 means that the session is over: the agent stops and reboots after IDLE_LIMIT_S. Any 5xx or no answer means: try
again with back-off, for ever, and lose nothing.
"""

from typing import Any, Literal, TypedDict

VERSION = "1"
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_LOG_LINES = 500
MAX_LINE_CHARS = 1000
POLL_WAIT_S = 25
HEARTBEAT_S = 30

CommandName = Literal[
    "inspect",  # {} -> result {"inventory": Inventory}
    "setup_bmc",  # {"username": str, "password": str(secret)} -> {"address": str|None, "mac": str, "user_id": int}
    "erase",  # {"method": "metadata"|"shred", "disks": [serial]|None, "skip": [serial]} -> {"disks": [{...}]}
    "write_image",  # the image stream, the root disk and the config drive: see agent.imaging
    "boot_disk",  # {"method": "kexec"|"reboot"} -> {} ; answers before it leaves
    "rescue",  # {"password_hash": str(secret)} -> {"user": str, "port": int, "fingerprint": str}
    "reboot",  # {} -> {}
    "power_off",  # {} -> {}
]


class Lookup(TypedDict):
    boot_secret: str
    macs: list[str]
    agent_version: str
    boot_mac: str


class LookupReply(TypedDict):
    """session: bearer token of this boot. node: label of the node, or None while the machine is unknown."""

    session: str
    node: str | None
    heartbeat_s: int


class Nic(TypedDict):
    name: str
    mac: str
    driver: str | None
    speed_mbps: int | None
    has_link: bool | None
    pci: str | None
    address: str | None
    lldp: dict[str, str] | None  # chassis_id, port_id, system_name


class Disk(TypedDict):
    name: str  # /dev/vda
    size_bytes: int
    serial: str | None
    wwn: str | None
    model: str | None
    bus: str  # virtio, nvme, sata, sas, usb
    is_rotational: bool
    by_path: str | None


class Dimm(TypedDict):
    slot: str
    size_mib: int
    kind: str
    speed_mts: int | None
    serial: str | None


class Inventory(TypedDict):
    """One report. uuid and serial come from SMBIOS; boot_mode is `bios` or `uefi`; boot_mac is the NIC that booted."""

    uuid: str | None
    serial: str | None
    manufacturer: str | None
    product: str | None
    firmware: dict[str, str]  # vendor, version, date
    boot_mode: Literal["bios", "uefi"]
    is_secure_boot: bool
    boot_mac: str | None
    cpu: dict[str, Any]  # model, sockets, cores, threads, flags:[str], virtualization: "vmx"|"svm"|None, architecture
    memory_mib: int
    dimms: list[Dimm]
    disks: list[Disk]
    nics: list[Nic]
    bmc: dict[str, Any] | None  # address, mac, netmask, gateway, ipmi_version; None when there is no in-band BMC
    pci: list[dict[str, str]]  # address, vendor, device, class, driver
    uptime_s: float
    timings: dict[str, float]  # seconds since kernel start: init, modules, network, agent


class Heartbeat(TypedDict):
    uptime_s: float
    busy: str | None


class Command(TypedDict):
    uuid: str
    name: CommandName
    params: dict[str, Any]


class Progress(TypedDict):
    phase: str
    done: int
    total: int
    unit: str
    message: str


class CommandUpdate(TypedDict, total=False):
    """status `running` carries progress; `done` carries result; `failed` carries error (one sentence, no secrets)."""

    status: Literal["running", "done", "failed"]
    progress: Progress
    result: dict[str, Any]
    error: str
