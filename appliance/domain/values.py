"""Grammars of configuration values: each reader takes what TOML gave and returns a typed value, or raises BadValue.

Pure: no file, no environment. Here too is `Secret`, the type of every value that must not be seen.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.domain import fake_hardware

Reader = Callable[[Any], Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION = re.compile(r"([0-9]{1,9})\s*(ms|s|m|h|d)\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\Z")


class BadValue(ValueError):
    """The value does not fit; the text says what would."""


class Secret:
    """A text that is never shown: `repr` and `str` give ***; `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An IP address and a TCP port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """From `127.0.0.1:8443` or `[::1]:8443`. Raises BadValue."""
        return endpoint(text)

    @property
    def is_any(self) -> bool:
        """Does it stand for every address of this machine?"""
        return ipaddress.ip_address(self.host).is_unspecified


def endpoint(value: Any) -> Endpoint:
    """`127.0.0.1:8443` or `[::1]:8443`; port 0 lets the system choose (tests)."""
    text = _text(value, 'an address and port such as "127.0.0.1:8443"')
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        raise BadValue(f'{text[:80]!r} is not an address and port such as "127.0.0.1:8443"')
    host = "127.0.0.1" if host == "localhost" else host
    try:
        return Endpoint(str(ipaddress.ip_address(host)), int(port))
    except ValueError as cause:
        raise BadValue(f"{host[:80]!r} is not an IP address; names are not looked up here") from cause


def duration(low_s: int, high_s: int) -> Reader:
    """Whole seconds, or text with a unit; within [low_s, high_s]."""

    def read(value: Any) -> int:
        if isinstance(value, str) and (match := _DURATION.match(value.strip()[:32])) and match[2] != "ms":
            seconds = int(match[1]) * _UNIT_S[match[2]]
        elif isinstance(value, int) and not isinstance(value, bool):
            seconds = value
        else:
            raise BadValue(f'{_show(value)} is not a duration; write "90s", "15m", "12h", "2d" or whole seconds')
        if not low_s <= seconds <= high_s:
            raise BadValue(f"{_show(value)} is out of range: {_plain(low_s)} to {_plain(high_s)}")
        return seconds

    return read


def whole_number(low: int, high: int) -> Reader:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValue(f"{_show(value)} is not a whole number")
        if not low <= value <= high:
            raise BadValue(f"{value} is out of range: {low} to {high}")
        return value

    return read


def boolean(value: Any) -> bool:
    """Only true and false: the text "False" once left a disabled user on (OSSA-2026-007)."""
    if not isinstance(value, bool):
        raise BadValue(f"{_show(value)} is neither true nor false (without quotes)")
    return value


def choice(*words: str) -> Reader:
    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise BadValue(f"{_show(value)} is not one of {', '.join(repr(word) for word in words)}")
        return value

    return read


def delays(value: Any) -> tuple[float, float]:
    """Seconds, from and to: `2`, `"2"` or `"1,5"`."""
    found = fake_hardware.delay_range(value)
    if found is None:
        raise BadValue(f"{_show(value)} is no delay: write seconds such as 2, or a range such as '1,5'")
    return found


def regular_expression(value: Any) -> str:
    text = _text(value, "a regular expression")
    try:
        re.compile(text)
    except re.error as cause:
        raise BadValue(f"{_show(value)} is not a regular expression: {cause}") from cause
    if len(text) > 1000:
        raise BadValue("a regular expression has at most 1000 characters")
    return text


def short_text(value: Any) -> str:
    text = _text(value, "a text")
    if not text or len(text) > 500 or not text.isprintable():
        raise BadValue(f"{_show(value)} is not one line of at most 500 characters")
    return text


def host_names(value: Any) -> tuple[str, ...]:
    """A list of host names and IP addresses, for certificates."""
    if not isinstance(value, list) or len(value) > 64:
        raise BadValue(f"{_show(value)} is not a list of at most 64 names")
    return tuple(_host_name(item) for item in value)


def networks(value: Any) -> tuple[Network, ...]:
    """A list of networks such as "10.20.0.0/16"."""
    if not isinstance(value, list) or len(value) > 64:
        raise BadValue(f"{_show(value)} is not a list of at most 64 networks")
    try:
        return tuple(ipaddress.ip_network(_text(item, "a network")) for item in value)
    except ValueError as cause:
        raise BadValue(f"{cause}; a network is such as 10.20.0.0/16") from cause


def domain_name(value: Any) -> str:
    text = _text(value, "a domain name").lower().rstrip(".")
    if not text or len(text) > 190 or not all(_LABEL.match(label) for label in text.split(".")):
        raise BadValue(f'{_show(value)} is not a domain name such as "rack.internal"')
    return text


def database_url(value: Any) -> Secret:
    """`sqlite:////absolute/file` or `postgresql://user:password@host/name`; kept as the driver that we use."""
    text = _text(value, "a database URL")
    if text.startswith("sqlite:////") and len(text) <= 4096:
        return Secret(text)
    for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if text.startswith(scheme) and len(text) <= 4096:
            return Secret("postgresql+psycopg://" + text.removeprefix(scheme))
    raise BadValue("the URL is neither sqlite:////absolute/file nor postgresql://user:password@host/name")


def _host_name(item: Any) -> str:
    text = _text(item, "a host name").lower()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return domain_name(text)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise BadValue(f"{_show(value)} is not {what}")
    return value.strip()


def _show(value: Any) -> str:
    return repr(value)[:80]


def _plain(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNIT_S[unit] == 0:
            return f"{seconds // _UNIT_S[unit]}{unit}"
    return f"{seconds}s"
