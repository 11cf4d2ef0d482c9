"""`driver_info`: the access to a node's BMC and the options of its driver, in the words of the field.

`ipmi_address`, `ipmi_port`, `ipmi_username` and `ipmi_password` (of another driver: with its name in front) are ours;
what else is given is an option of the driver and is kept as given, secrets sealed. What would be without effect, and
dangerous to believe in, is refused.
"""

import re
from collections.abc import Mapping
from typing import Any

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.http.ironic.errors import BadRequest
from appliance.services.node_input import BMC_PARTS, DEFAULT_PORTS, BmcAccess
from appliance.services.vault import MASK

WITHOUT_BMC = frozenset({"fake", "manual"})
OURS_ALONE = frozenset({"deploy_interface"})
"""Options that are attributes of their own on this face."""
_CIPHER_SUITES = frozenset({"3", "17"})
_ONLY: Mapping[str, frozenset[str]] = {
    "ipmi_cipher_suite": _CIPHER_SUITES,
    "ipmi_protocol_version": frozenset({"2.0"}),
    "ipmi_priv_level": frozenset({"ADMINISTRATOR"}),
    "ipmi_bridging": frozenset({"no"}),
    "redfish_auth_type": frozenset({"auto", "basic", "session"}),
}
"""Options whose other values ask for what the driver cannot do."""

_RENAMED: Mapping[str, Mapping[str, str]] = {
    "redfish": {
        "redfish_system_id": "system", "redfish_verify_ca": "verify_ca", "redfish_fingerprint": "fingerprint",
        "redfish_auth_type": "auth_type",
    }
}  # fmt: skip
"""Options that are ours under another name: by driver, the clients' name -> ours."""

_URL = re.compile(r"https://([^/@:\[\]]{1,64}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?/?\Z")
"""A BMC that is reached by HTTPS is given as a URL, without a path: its root is the protocol's."""


def shown(
    driver: str, *, address: str | None, udp_port: int, username: str | None, has_secret: bool,
    options: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """As clients read it; options come with their masks."""
    names_of = {ours: wire for wire, ours in _RENAMED.get(driver, {}).items()}
    info = {names_of.get(key, key): value for key, value in options.items() if key not in OURS_ALONE}
    usual = DEFAULT_PORTS.get(driver, 623)
    if address is not None:
        info[f"{driver}_address"] = _as_url(address, udp_port) if driver == "redfish" else address
    if udp_port != usual and driver != "redfish":
        info[f"{driver}_port"] = udp_port
    if username is not None:
        info[f"{driver}_username"] = username
    if has_secret:
        info[f"{driver}_password"] = MASK
    return info


def parse(driver: str, info: Mapping[str, Any], *, has_secret: bool) -> tuple[BmcAccess, dict[str, Any]]:
    """The access to the BMC and the other options. A masked password stands for the stored one. Raises BadRequest."""
    rest = dict(info)
    if OURS_ALONE & set(rest):
        raise BadRequest(f"driver_info/{min(OURS_ALONE & set(rest))} is an attribute of the node, not of driver_info")
    if driver in WITHOUT_BMC:
        return BmcAccess(), rest
    _refuse_without_effect(rest)
    address = _text(rest.pop(f"{driver}_address", None), f"{driver}_address", 128)
    port = _port(rest.pop(f"{driver}_port", None), f"{driver}_port", DEFAULT_PORTS.get(driver, 623))
    if driver == "redfish" and address is not None:
        address, port = _from_url(address, port)
    _verify_ca(rest)
    rest = {_RENAMED.get(driver, {}).get(key, key): value for key, value in rest.items()}
    username = _text(rest.pop(f"{driver}_username", None), f"{driver}_username")
    password, stays = _password(rest, driver, has_secret=has_secret)
    access = BmcAccess(
        address=_address(address, driver), udp_port=port, username=username, password=password,
        given=BMC_PARTS - {"password"} if stays else BMC_PARTS,
    )  # fmt: skip
    return access, rest


def _password(rest: dict[str, Any], driver: str, *, has_secret: bool) -> tuple[str | None, bool]:
    """(the password to store, whether the stored one stays)."""
    name = f"{driver}_password"
    given = rest.pop(name, None)
    if given is not None and not isinstance(given, str):
        given = str(given) if isinstance(given, int) and not isinstance(given, bool) else _text(given, name)
    if given == MASK:
        if not has_secret:
            raise BadRequest(f"driver_info/{name} is the mask of a password, not a password")
        return None, True
    if given and set(given) == {"*"}:
        raise BadRequest(f"driver_info/{name} is the mask of a password, not a password")
    return _text(given, name), False


def _refuse_without_effect(rest: Mapping[str, Any]) -> None:
    for name, possible in _ONLY.items():
        value = rest.get(name)
        if value is not None and str(value) not in possible:
            raise BadRequest(
                f"Invalid value for driver_info/{name}: {str(value)[:32]!r}. "
                f"Supported are: {', '.join(sorted(possible))}"
            )


def _as_url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}" if port == DEFAULT_PORTS["redfish"] else f"https://{host}:{port}"


def _from_url(text: str, port: int) -> tuple[str, int]:
    """The host and port of `https://HOST[:PORT]`, or of a bare address. Nothing is asked in the clear."""
    if "://" not in text:
        return text, port
    found = _URL.match(text)
    if found is None:
        raise BadRequest("driver_info/redfish_address is https://ADDRESS or https://ADDRESS:PORT")
    return found[1].strip("[]"), _port(found[2][1:], "redfish_address", port) if found[2] else port


def _verify_ca(rest: dict[str, Any]) -> None:
    value = rest.get("redfish_verify_ca")
    if isinstance(value, str) and value.lower() in ("true", "false"):
        value = rest["redfish_verify_ca"] = value.lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise BadRequest("driver_info/redfish_verify_ca is true or false; a certificate is pinned by its fingerprint")


def _text(value: Any, name: str, limit: int = 64) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise BadRequest(f"driver_info/{name} is a text of at most {limit} printable characters")
    return value


def _address(text: str | None, driver: str) -> str | None:
    if text is None:
        return None
    try:
        return names.ip_address(text)
    except Invalid as cause:
        raise BadRequest(f"driver_info/{driver}_address: {cause.message}; host names are not looked up") from cause


def _port(value: Any, name: str, usual: int) -> int:
    if value is None:
        return usual
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 65536:
        raise BadRequest(f"driver_info/{name} is a port number from 1 to 65535")
    return int(text)


def refuse_near(address: str | None) -> None:
    """For people of a project: what they call a BMC is asked from here, where more can be reached than by them."""
    if address is not None and not names.is_elsewhere(address):
        raise BadRequest(f"the BMC address {address} is this machine's own or its link's: an administrator may name it")


def missing(driver: str, address: str | None) -> list[str]:
    """What the driver needs and does not have, in the clients' words."""
    if driver in WITHOUT_BMC:
        return []
    return [f"{driver}_address"] if address is None else []
