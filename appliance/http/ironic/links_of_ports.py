"""`local_link_connection`: where the cable of a port ends. What kind of end it is tells which keys belong together."""

import re
from typing import Any

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.http.ironic.errors import BadRequest

_KEYS = frozenset(
    {"port_id", "switch_id", "hostname", "switch_info", "network_type", "vtep-logical-switch", "vtep-physical-switch"}
)
_VTEP = {"vtep-logical-switch", "vtep-physical-switch"}
_DATAPATH = re.compile(r"[0-9a-f]{16}\Z")


def link(name: str, value: Any) -> dict[str, str]:
    """A link, its switch_id canonical: a MAC address or an OpenFlow datapath id; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"Schema error for {name}: it is an object of texts")
    if unknown := sorted(str(key)[:64] for key in set(value) - _KEYS):
        raise BadRequest(f"Schema error for {name}: Additional properties are not allowed ('{unknown[0]}')")
    for key, one in value.items():
        if not isinstance(one, str) or len(one) > 255:  # a client makes a number of port_id=7
            raise BadRequest(
                f"Schema error for {name}: {key} is a text of at most 255 characters; 7 is written '\"7\"'"
            )
    if value.get("network_type", "managed") not in ("managed", "unmanaged"):
        raise BadRequest(f"Schema error for {name}: network_type is 'managed' or 'unmanaged'")
    if value and not _is_whole(set(value), value.get("network_type") == "unmanaged"):
        raise BadRequest(f"Schema error for {name}: port_id and switch_id are required (or hostname with port_id)")
    if "switch_id" not in value:
        return dict(value)
    return {**value, "switch_id": _switch(value["switch_id"])}


def _is_whole(keys: set[str], is_unmanaged: bool) -> bool:  # noqa: FBT001  (named at its only call)
    if keys & _VTEP and not keys >= _VTEP:
        return False
    return (
        is_unmanaged
        or keys >= {"port_id", "switch_id"}
        or keys >= {"port_id", "hostname"}
        or keys >= {"port_id", *_VTEP}
    )


def _switch(text: str) -> str:
    plain = text.lower().replace(":", "") if len(text) <= 32 else ""
    if _DATAPATH.match(plain):
        return plain
    try:
        return names.mac(text)
    except Invalid as cause:
        raise BadRequest(
            f"Received an invalid value for switch_id: '{text[:64]}'. It must be a MAC address or an "
            "OpenFlow datapath_id."
        ) from cause
