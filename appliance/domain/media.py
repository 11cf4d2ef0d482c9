"""Which URLs a BMC may be sent to for the image of a virtual drive. Pure: the BMC looks names up, not the appliance."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import SplitResult, urlsplit

from appliance.domain.errors import Invalid

SCHEMES = frozenset({"http", "https", "nfs", "cifs", "smb"})
LONGEST = 2048


def check(url: str, *, trusted: Iterable[IPv4Network | IPv6Network] = ()) -> None:
    """Raises Invalid. Private networks are where BMCs live and are fine; the BMC's own services are not, nor the
    link's (where clouds keep secrets), unless an operator trusts them.
    """
    parts = _parsed(url)
    if parts.scheme not in SCHEMES:
        raise Invalid(f"Unsupported or missing URL scheme: {parts.scheme[:16]}")
    if parts.username is not None or parts.password is not None:
        raise Invalid("image_url must not hold a user name or password: BMCs show it to whoever may read")
    host = (parts.hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost") or not _is_fit(host, trusted):
        raise Invalid(f"image_url leads to {host[:64]}, where no BMC is sent")


def without_query(url: str | None) -> str | None:
    """What may be shown of a URL: its query may be the key to the image."""
    return url if url is None else url.partition("?")[0]


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_fine = parts.port != 0 and bool(parts.hostname or parts.scheme not in SCHEMES)
    except ValueError as cause:
        raise Invalid("image_url is malformed") from cause
    if not is_fine or len(url) > LONGEST or not (url.isascii() and url.isprintable()) or set(url) & set(" \\#"):
        raise Invalid(f"image_url is a plain URL of at most {LONGEST} characters")
    return parts


def _is_fit(host: str, trusted: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return not host.replace(".", "").isdigit() and not host.startswith("0x")  # 2130706433 is 127.0.0.1 to some
    if any(address.version == network.version and address in network for network in trusted):
        return True
    inner = getattr(address, "ipv4_mapped", None) or address
    return not (inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_unspecified)
