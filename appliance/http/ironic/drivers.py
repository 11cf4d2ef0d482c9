"""/v1/drivers: what there is to drive machines with, and what each of it can do."""

from collections.abc import Mapping, Sequence

from flask import Response

from appliance.domain.errors import NotFound
from appliance.http.ironic import hardware, pages, policy
from appliance.http.ironic.call import Body, Call, Route
from appliance.http.ironic.driver_info import WITHOUT_BMC
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.fields import parse
from appliance.http.json_body import reply
from appliance.services import conductors

_TYPE_SINCE, _RAID_SINCE, _PROPERTIES_SINCE, _FIELDS_SINCE = 30, 12, 14, 77
_KIND_SINCE: Mapping[str, int] = {"storage": 33, "rescue": 38, "bios": 40, "firmware": 86}
"""Kinds of interfaces that came after the others."""
_BMC: Mapping[str, str] = {
    "address": "IP address of the BMC. Required.",
    "username": "User name on the BMC. Optional.",
    "password": "Password of that user. Optional; never shown again.",
    "port": "Port of the BMC, when it is not the usual one. Optional.",
}
"""What driver_info takes of a driver that speaks to a BMC, each with the driver's name in front."""

_REDFISH: Mapping[str, str] = {
    "redfish_address": "https://ADDRESS[:PORT] of the Redfish service. Required.",
    "redfish_system_id": "Path of the ComputerSystem, such as /redfish/v1/Systems/1. Required where there are several.",
    "redfish_verify_ca": "Whether the system's authorities must vouch for the certificate; true unless said. Optional.",
    "redfish_auth_type": "How to log in: auto, session or basic; auto unless said. Optional.",
    "redfish_fingerprint": "SHA-256 of the certificate, hexadecimal, in place of an authority. Optional.",
}
"""What is said in other words of Redfish, or is its alone."""

RAID_LEVELS = ("JBOD", "0", "1", "2", "5", "6", "1+0", "5+0", "6+0")

LOGICAL_DISK: Mapping[str, str] = {
    "size_gb": "Size in GiB, a whole number, or MAX for all that is left. Required.",
    "raid_level": f"One of {', '.join(RAID_LEVELS)}. Required.",
    "volume_name": "Name of the volume. Optional.",
    "is_root_volume": "Whether it is the root volume. Optional.",
    "share_physical_disks": "Whether its disks may hold other logical disks, too. Optional.",
    "disk_type": "Kind of the disks: hdd or ssd. Optional.",
    "interface_type": "Interface of the disks: sata, scsi or sas. Optional.",
    "number_of_physical_disks": "How many disks it takes. Optional.",
    "controller": "The RAID controller. Optional.",
    "physical_disks": "The disks that it takes. Optional.",
}
"""What a wish for a logical disk may hold."""


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/drivers", view=_list),
        Route(method="GET", path="/drivers/<name>", view=_show),
        Route(method="GET", path="/drivers/<name>/properties", view=_properties),
        Route(method="GET", path="/drivers/<name>/raid/logical_disk_properties", view=_raid),
        Route(method="GET", path="/drivers/<name>/vendor_passthru/methods", view=_methods),
        *(Route(method=method, path="/drivers/<name>/vendor_passthru", view=_passthru) for method in _ANY),
        *(Route(method=method, path="/drivers/<name>/vendor_passthru/<call_of>", view=_passthru) for method in _ANY),
    ]


_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _ours(name: str) -> str:
    found = hardware.to_ours(name)
    if found is None:
        raise NotFound(f"Could not find the following driver(s) or hardware type(s): {name[:64]}.")
    return found


def _hosts(call: Call) -> list[str]:
    with call.context.database.read() as session:
        return [one.host for one in conductors.listing(session, now=call.context.clock()) if one.is_alive]


def _shown(call: Call, wire: str, hosts: Sequence[str], *, is_detail: bool) -> Body:
    shown: Body = {"name": wire, "hosts": hosts, "links": call.links("drivers", wire)}
    if call.minor >= _PROPERTIES_SINCE:
        shown["properties"] = call.links("drivers", wire, "properties")
    if call.minor >= _TYPE_SINCE:
        shown["type"] = "dynamic"
        for kind, ways in hardware.ways(_ours(wire)).items() if is_detail else ():
            if call.minor >= _KIND_SINCE.get(kind, 0):
                shown[f"default_{kind}_interface"] = ways[0]
                shown[f"enabled_{kind}_interfaces"] = list(ways)
    return shown


def _fields(call: Call) -> list[str] | None:
    wanted = call.arguments.get("fields")
    if wanted is None:
        return None
    call.require(_FIELDS_SINCE)
    return parse(wanted)


def _chosen(shown: Body, fields: list[str] | None) -> Body:
    if fields is None:
        return shown
    unknown = [name for name in fields if name not in shown]
    if unknown:
        raise BadRequest(f'Field(s) "{", ".join(name[:64] for name in unknown)}" are not valid')
    return {name: value for name, value in shown.items() if name in fields or name == "links"}


def _list(call: Call) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:driver:get")
    pages.only(call.arguments, frozenset({"type"}))
    wanted, detail, fields = call.arguments.get("type"), pages.boolean(call.arguments, "detail"), _fields(call)
    if wanted is not None or detail is not None:
        call.require(_TYPE_SINCE)
    if wanted not in (None, "classic", "dynamic"):
        raise BadRequest('"type" filter must be one of "classic" or "dynamic", if specified.')
    if fields is not None and detail:
        raise BadRequest("Can't fetch a subset of fields with 'detail' set")
    hosts = _hosts(call)
    is_detail = bool(detail) or fields is not None
    found = [] if wanted == "classic" else hardware.names()
    return reply(
        {"drivers": [_chosen(_shown(call, name, hosts, is_detail=is_detail), fields) for name in sorted(found)]}
    )


def _show(call: Call, name: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:driver:get")
    fields = _fields(call)
    _ours(name)
    return reply(_chosen(_shown(call, name, _hosts(call), is_detail=True), fields))


def _properties(call: Call, name: str) -> Response:
    """What driver_info may hold for this driver."""
    call.demand(policy.SYSTEM_READER, "baremetal:driver:get_properties")
    ours = _ours(name)
    usual = {} if ours in WITHOUT_BMC else {f"{ours}_{part}": said for part, said in _BMC.items()}
    return reply({**usual, **(_REDFISH if ours == "redfish" else {})})


def _raid(call: Call, name: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:driver:get_raid_logical_disk_properties")
    call.require(_RAID_SINCE)
    ours = _ours(name)
    if hardware.ways(ours)["raid"] != ("no-raid",):
        return reply(dict(LOGICAL_DISK))
    raise NotFound(
        f"Driver {hardware.to_wire(ours)} does not support get_raid_logical_disk_properties "
        "(disabled or not implemented)."
    )


def _methods(call: Call, name: str) -> Response:
    """There are none: raw commands to BMCs are not offered."""
    call.demand(policy.SYSTEM_ADMIN, "baremetal:driver:vendor_passthru")
    _ours(name)
    return reply({})


def _passthru(call: Call, name: str, call_of: str = "") -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:driver:vendor_passthru")
    _ours(name)
    if not call_of:
        raise BadRequest("Method not specified when calling vendor extension.")
    raise BadRequest(f"No handler for method {call_of[:64]}")
