"""The kernel command line: where the appliance is and how to recognise it. Pure.

Values come from the boot script of the appliance and from nowhere else: no disk label, no DHCP option and no discovery
protocol can send the agent to another server.
"""

from typing import NamedTuple

from agent.errors import BadKernelLine

_MAX_VALUE = 512


class Secret:
    """A text that does not show itself in logs and tracebacks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"


class Settings(NamedTuple):
    """ca_sha256: lower-case hexadecimal digest of the DER form. boot_mac: with colons, or None.

    A NamedTuple and not a dataclass, as everywhere on the way to the first call: `dataclasses` imports `inspect`,
    which costs 0.2 s of a slow processor.
    """

    api_url: str
    http_url: str
    ca_sha256: str
    boot_secret: Secret
    boot_mac: str | None


def parse(line: str) -> Settings:
    """Raises BadKernelLine naming what is missing or malformed, never its value."""
    words = dict(word.partition("=")[::2] for word in line.split())
    api = _url(words, "rackwright.api", "https")
    host = api.removeprefix("https://").rpartition(":")[0] or api.removeprefix("https://")
    http = _url(words, "rackwright.http", "http") if "rackwright.http" in words else f"http://{host}:8080"
    digest = words.get("rackwright.ca", "").lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise BadKernelLine("rackwright.ca is missing or no SHA-256 digest")
    secret = words.get("rackwright.boot", "")
    if not secret or len(secret) > _MAX_VALUE:
        raise BadKernelLine("rackwright.boot is missing or too long")
    return Settings(api, http, digest, Secret(secret), boot_mac(words.get("BOOTIF", "")))


def boot_mac(text: str) -> str | None:
    """`01-52-54-00-aa-bb-cc`, with or without the hardware type, as a MAC with colons; None if it is something else."""
    octets = text.lower().split("-")[-6:]
    if len(octets) != 6 or any(len(octet) != 2 or set(octet) - set("0123456789abcdef") for octet in octets):
        return None
    return ":".join(octets)


def _url(words: dict[str, str], key: str, scheme: str) -> str:
    value = words.get(key, "").rstrip("/")
    rest = value.removeprefix(f"{scheme}://")
    if rest == value or not rest or "/" in rest or "@" in rest or len(value) > _MAX_VALUE:
        raise BadKernelLine(f"{key} is missing or not of the form {scheme}://HOST:PORT")
    return value
