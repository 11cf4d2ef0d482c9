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


def base_url(config: Config) -> str:
    """`https://HOST:PORT`, without a slash at the end; worked out once a request, since a page has a thousand links."""
    if "own_address" not in g:
        g.own_address = _base_url(config)
    return str(g.own_address)


def _base_url(config: Config) -> str:
    host, port = _split(request.headers.get("Host", ""))
    if host and host in _names(config, int(time.monotonic() // 60)):
        return f"https://{_bracketed(host)}" + (f":{port}" if port else "")
    listen = config.api.listen
    named = config.api.names[0] if config.api.names else "127.0.0.1"
    return f"https://{_bracketed(named if listen.is_any else listen.host)}:{listen.port}"


@lru_cache(maxsize=4)
def _names(config: Config, _minute: int) -> frozenset[str]:
    """Addresses come and go: looked up again every minute."""
    return certificate_names.of(config) | {"localhost", "127.0.0.1", "::1"}


def _split(text: str) -> tuple[str, str]:
    """Host in its usual spelling, and port; empty for what is neither name nor address."""
    text = text.strip().lower()
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    if len(host) > 255 or (port and not (port.isascii() and port.isdigit() and len(port) <= 5)):
        return "", ""
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return host.rstrip("."), port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
