"""At which address a client reaches us: what links are built from. Only names that are ours count, never any `Host`."""

from flask import request

from appliance.config import Config
from appliance.services import certificate_names

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST = 100
_LONGEST = 270


class Origins:
    """`https://HOST:PORT` for requests. A `Host` that is not ours gives the listening address instead."""

    def __init__(self, config: Config) -> None:
        self._ours = {name.lower() for name in certificate_names.of(config)} | _LOCAL
        self._fallback = f"https://{config.api.listen}"
        self._known: dict[str, str] = {}

    def of_request(self) -> str:
        given = request.environ.get("HTTP_HOST", "")
        known = self._known.get(given)
        if known is not None:
            return known
        made = self._judged(given)
        if len(given) <= _LONGEST and len(self._known) < _MOST:
            self._known[given] = made
        return made

    def _judged(self, given: str) -> str:
        if len(given) > _LONGEST:
            return self._fallback
        text = given.lower()
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host = text
        name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if name not in self._ours or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
            return self._fallback
        return f"https://{text}"
