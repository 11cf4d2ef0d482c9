"""The address by which this client reached us, for the links and URLs that we hand out.

A Host header is believed only when it names us: an address of this machine, a name in our certificate. A link made of
any other would send the next request, with its token, to wherever a stranger likes.
"""

import ipaddress
import time
from functools import lru_cache

from flask import g, request

from appliance.config import Config
from appliance.services import certificate_names

_KNOWN_MOST = 100
_KNOWN_LONGEST = 270


def base_url(config: Config) -> str:
    """`https://HOST:PORT`, without a slash at the end; worked out once a request, since a page has a thousand links."""
    if "own_address" not in g:
        g.own_address = _base_url(config, request.headers.get("Host", ""), _minute())
    return str(g.own_address)


class Origins:
    """`base_url` for a face whose requests take less time than its working out: hosts are remembered for a minute."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[str, str] = {}
        self._minute = -1

    def of_request(self) -> str:
        given, minute = request.environ.get("HTTP_HOST", ""), _minute()
        if minute != self._minute or len(self._known) >= _KNOWN_MOST:
            self._known, self._minute = {}, minute
        known = self._known.get(given)
        if known is None:
            known = _base_url(self._config, given, minute)
            if len(given) <= _KNOWN_LONGEST:
                self._known[given] = known
        return known


def _minute() -> int:
    """Addresses come and go: looked up again every minute."""
    return int(time.monotonic() // 60)


def _base_url(config: Config, given: str, minute: int) -> str:
    host, port = _split(given)
    if host and host in _names(config, minute):
        return f"https://{_bracketed(host)}" + (f":{port}" if port else "")
    listen = config.api.listen
    named = config.api.names[0] if config.api.names else "127.0.0.1"
    return f"https://{_bracketed(named if listen.is_any else listen.host)}:{listen.port}"


@lru_cache(maxsize=4)
def _names(config: Config, _minute: int) -> frozenset[str]:
    return certificate_names.of(config) | {"localhost", "127.0.0.1", "::1"}


def _split(text: str) -> tuple[str, str]:
    """Host in its usual spelling, and port; empty for what is neither name nor address."""
    text = text.strip().lower()
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    if len(host) > 255 or (
        port and not (len(port) <= 5 and port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    ):
        return "", ""
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return host.rstrip("."), port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
