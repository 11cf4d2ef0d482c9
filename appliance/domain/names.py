"""Grammars of names and addresses. Each function takes text from outside and returns the canonical form, or refuses.

Lengths are checked before patterns, so no input costs more than its length (RFC 1123 §2.1 for host names).
"""

import ipaddress
import re

from appliance.domain.errors import Invalid

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9-]+")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def hostname(text: str) -> str:
    """One DNS label, lower-cased: letters, digits, inner hyphens; 1 to 63 characters (RFC 1123 §2.1)."""
    label = text.strip().lower() if len(text) <= 64 else ""
    if not _LABEL.match(label):
        raise Invalid(
            f"{text[:80]!r} is not a host name",
            why="a name is 1 to 63 letters, digits and inner hyphens",
            next_step="choose a name such as 'r01-n07'",
        )
    return label


def as_hostname(text: str) -> str:
    """A host name made of any name: what may not stand in one becomes a hyphen; empty when nothing is left."""
    return _NOT_IN_LABEL.sub("-", text[:255].lower()).strip("-")[:63].strip("-")


def mac(text: str) -> str:
    """An Ethernet address as `aa:bb:cc:dd:ee:ff`; accepts `-`, `.` and no separators. Group addresses are refused."""
    canonical = ethernet(text)
    if int(canonical[:2], 16) & 1 or canonical == "00:00:00:00:00:00":
        raise _no_mac(text)
    return canonical


def ethernet(text: str) -> str:
    """As `mac`, by its form alone: OpenStack's clients may write any six octets, and their own tests do."""
    digits = re.sub(r"[:\-.]", "", text.strip().lower()) if len(text) <= 32 else ""
    canonical = ":".join(digits[i : i + 2] for i in range(0, 12, 2)) if len(digits) == 12 else ""
    if not _MAC.match(canonical):
        raise _no_mac(text)
    return canonical


def _no_mac(text: str) -> Invalid:
    return Invalid(f"{text[:40]!r} is not the MAC address of one machine", next_step="write it as 52:54:00:12:34:56")


def ip_address(text: str) -> str:
    """An IPv4 or IPv6 address in canonical text form, so that one place has one name: `::ffff:10.0.0.7` is 10.0.0.7.

    A zone (`%eth0`) is refused: it is free text.
    """
    try:
        address = ipaddress.ip_address(text.strip() if len(text) <= 64 and "%" not in text else "")
    except ValueError as cause:
        raise Invalid(f"{text[:60]!r} is not an IP address", next_step="write it as 10.0.0.7") from cause
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_of_one_machine(address: str) -> bool:
    """Can one machine be reached there? address: as `ip_address` returns it."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_multicast or parsed.is_unspecified or address == "255.255.255.255")


def is_elsewhere(address: str) -> bool:
    """Is it that of another machine, and one that answers beyond its own link (where clouds keep secrets)?"""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local)


def address_shown(text: str) -> str:
    """A URL as it may be repeated to others: without name and password, and without what may be a signature."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
