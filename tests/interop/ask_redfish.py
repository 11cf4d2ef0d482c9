"""Asks Redfish services with sushy, OpenStack's client, and prints what it saw. Runs in the clients' environment.

ask_redfish.py CA < questions: a JSON list of {url, way, user, password}, where way is `session` or `basic`.
"""

import json
import sys
from typing import Any

import sushy
from sushy import auth


def system_of(service: Any) -> dict[str, Any]:
    system = service.get_system()
    seen: dict[str, Any] = {
        "identity": system.identity, "maker": system.manufacturer, "serial": system.serial_number,
        "uuid": system.uuid, "offered": sorted(one.value for one in system.get_allowed_reset_system_values()),
        "sources": sorted(one.value for one in system.get_allowed_system_boot_source_values()),
    }  # fmt: skip
    power = [system.power_state.value]
    for kind in (sushy.RESET_ON, sushy.RESET_NMI, sushy.RESET_FORCE_RESTART, sushy.RESET_FORCE_OFF):
        system.reset_system(kind)
        system.refresh(force=True)
        power.append(system.power_state.value)
    system.set_system_boot_options(
        target=sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE, mode=sushy.BOOT_SOURCE_MODE_UEFI
    )
    system.refresh(force=True)
    seen["boot"] = {name: system.boot[name].value for name in ("target", "enabled", "mode")}
    secure = [system.secure_boot.enabled]
    system.secure_boot.set_enabled(True)
    system.secure_boot.refresh(force=True)
    return {**seen, "power": power, "secure_boot": [*secure, system.secure_boot.enabled]}


def media_of(holder: Any) -> dict[str, Any]:
    drives = holder.virtual_media.get_members()
    disc = next(drive for drive in drives if sushy.VIRTUAL_MEDIA_CD in drive.media_types)
    disc.insert_media("http://192.0.2.1/a.iso")
    disc.refresh(force=True)
    inserted = [disc.inserted, disc.image]
    disc.eject_media()
    disc.refresh(force=True)
    return {"types": [[kind.value for kind in drive.media_types] for drive in drives], "inserted": inserted,
            "ejected": [disc.inserted, disc.image]}  # fmt: skip


def asked(url: str, authority: str, way: str, user: str, password: str) -> dict[str, Any]:
    known = (auth.SessionAuth if way == "session" else auth.BasicAuth)(user, password)
    service = sushy.Sushy(url, verify=authority, auth=known)
    seen = {"version": service.redfish_version, "system": system_of(service)}
    system = service.get_system()
    manager, chassis = system.managers[0], system.chassis[0]
    seen["media"] = media_of(system if "VirtualMedia" in system.json else manager)
    seen["manager"] = [manager.firmware_version, manager.manager_type.value]
    seen["temperatures"] = [[one.name, one.reading_celsius] for one in chassis.thermal.temperatures]
    if way == "session":
        known.close()
    return seen


def main() -> None:
    answers = []
    for question in json.load(sys.stdin):
        try:
            answers.append(asked(authority=sys.argv[1], **question))
        except sushy.exceptions.SushyError as error:
            answers.append({"fault": str(error)})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
