"""ComputerSystem.Boot: what the machine boots from next, on services that take the standard each in their own way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bmc.errors import Unsupported
from bmc.redfish.answers import Json
from bmc.redfish.tree import Tree, dig, text, words
from bmc.types import BootDevice, BootOverride

TARGETS: Mapping[BootDevice, tuple[str, ...]] = {
    BootDevice.NONE: ("None",),
    BootDevice.PXE: ("Pxe",),
    BootDevice.DISK: ("Hdd",),
    BootDevice.CDROM: ("Cd", "UsbCd"),
    BootDevice.BIOS: ("BiosSetup",),
}
DEVICES = {name: device for device, names in TARGETS.items() for name in names}
MODES = {True: "UEFI", False: "Legacy"}
TARGET, ENABLED, MODE = "BootSourceOverrideTarget", "BootSourceOverrideEnabled", "BootSourceOverrideMode"
ANY_TIME = frozenset({BootDevice.PXE, BootDevice.DISK})
"""Devices for which it is no harm that an override lasts longer or shorter than asked: the next boot is as wished, and
each network boot is answered by whoever set it. Some BMCs know only one of `Once` and `Continuous`."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the boot settings are: in the system, or in its resource of settings (Redfish.Settings)."""

    path: str
    boot: Json
    etag: str | None


def read(tree: Tree) -> BootOverride:
    return _override(_place(tree).boot)


def write(tree: Tree, override: BootOverride) -> None:
    """Set and read back."""
    system, etag = tree.system()
    place = _place_of(tree, system, etag)
    refusal: Unsupported | None = None
    for wish in _wishes(place.boot, override, text(system, "Manufacturer")):
        try:
            tree.client.change(place.path, {"Boot": wish}, place.etag)
        except Unsupported as error:
            refusal = refusal or error
            continue
        break
    else:
        raise refusal or Unsupported("The BMC has no boot device to set.")
    boot = _place(tree).boot
    found = _override(boot)
    if not _agrees(found, override, has_mode=MODE in boot):
        raise Unsupported(f"The BMC accepted the boot device and ignored it: asked {override}, reads {found}.")


def _place(tree: Tree) -> _Place:
    system, etag = tree.system()
    return _place_of(tree, system, etag)


def _place_of(tree: Tree, system: Json, etag: str | None) -> _Place:
    path = text(dig(system, "@Redfish.Settings", "SettingsObject"), "@odata.id")
    if path:
        settings, settings_etag = tree.client.ask("GET", path)
        if TARGET in dig(settings, "Boot"):
            return _Place(path, dig(settings, "Boot"), settings_etag)
    return _Place(text(system, "@odata.id"), dig(system, "Boot"), etag)


def _override(boot: Json) -> BootOverride:
    target = text(boot, TARGET)
    enabled = text(boot, ENABLED)
    if enabled not in {"Once", "Continuous"} or target in {"", "None"}:
        return BootOverride(device=BootDevice.NONE)
    if target not in DEVICES:
        raise Unsupported(f"The BMC is set to boot from a device we do not know: {target[:40]}.")
    is_uefi = text(boot, MODE) == MODES[True]
    return BootOverride(device=DEVICES[target], persistent=enabled == "Continuous", is_uefi=is_uefi)


def _wishes(boot: Json, override: BootOverride, maker: str) -> Iterator[Json]:
    """What to ask for, until something is taken: all of it, as some want; only what changes, as others want."""
    wish: Json = {ENABLED: "Disabled", TARGET: _target(boot, override.device, maker)}
    if override.device is not BootDevice.NONE:
        wish[ENABLED] = "Continuous" if override.persistent else "Once"
        if MODE in boot:
            wish[MODE] = MODES[override.is_uefi]
    yield wish
    changes = {key: value for key, value in wish.items() if key == TARGET or boot.get(key) != value}
    if changes != wish:
        yield changes
    if override.persistent and override.device in ANY_TIME:
        yield changes | {ENABLED: "Once"}


def _target(boot: Json, device: BootDevice, maker: str) -> str:
    names, offered = TARGETS[device], words(boot, f"{TARGET}@Redfish.AllowableValues")
    if device is BootDevice.CDROM and maker.lower() == "supermicro":  # its virtual drive is on USB, and Cd is another
        names = names[::-1]
    possible = [name for name in names if name in offered] if offered and device is not BootDevice.NONE else names
    if not possible:
        raise Unsupported(f"The BMC cannot boot from {device.value}; it offers {', '.join(offered[:20])}.")
    return possible[0]


def _agrees(found: BootOverride, wanted: BootOverride, *, has_mode: bool) -> bool:
    if wanted.device is BootDevice.NONE:
        return found.device is BootDevice.NONE
    if wanted.device in ANY_TIME:
        wanted = replace(wanted, persistent=found.persistent)
    return found == (wanted if has_mode else replace(wanted, is_uefi=found.is_uefi))
