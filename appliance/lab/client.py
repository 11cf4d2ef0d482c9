"""The story's view of the appliance: its public HTTP API, as any operator's script would use it.

Not shared with the command line on purpose: the lab judges the appliance from outside. TLS is verified against the CA
of the state directory, for the name by which the host reaches it: 127.0.0.1, on a forwarded port.
"""

import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

import urllib3

Json = dict[str, Any]

_CONNECT_S = 5.0
_ANSWER_S = 60.0
_UPLOAD_S = 1800.0


class ApiFailed(Exception):
    """The appliance refused, or did not answer."""

    def __init__(self, status: int, message: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.why = why
        self.next_step = next_step

    @property
    def is_passing(self) -> bool:
        """Nobody answered, or somebody who could not: asking again later may help."""
        return self.status == 0 or self.status >= 500


class Client:
    """Usable from several threads."""

    def __init__(self, port: int, *, ca: Path) -> None:
        self.ca = ca
        self._pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            port,
            ssl_context=ssl.create_default_context(cafile=str(ca)),
            maxsize=8,
        )
        self._token: str | None = None

    def use(self, token: str) -> None:
        self._token = token

    def get(self, path: str, **query: object) -> Json:
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        return self._call("POST", path, body or {})

    def patch(self, path: str, body: Mapping[str, object]) -> Json:
        return self._call("PATCH", path, body)

    def upload(self, path: str, source: IO[bytes], *, sha256: str) -> Json:
        """PUT a file as an octet stream."""
        return self._send(
            "PUT",
            path,
            body=source,
            headers={"Content-Type": "application/octet-stream", "X-Checksum-Sha256": sha256},
            limit_s=_UPLOAD_S,
        )

    def is_alive(self) -> bool:
        """Somebody speaks HTTPS there with a certificate of this CA, whatever he says."""
        try:
            self.get("/v1/whoami")
        except ApiFailed as fault:
            return fault.status != 0
        return True

    def node_of_mac(self, mac: str) -> Json | None:
        found: list[Json] = self.get("/v1/nodes", mac=mac)["items"]
        return found[0] if found else None

    def node(self, ref: str) -> Json:
        return self.get(f"/v1/nodes/{quote(ref, safe='')}")

    def why(self, ref: str) -> str:
        """The appliance's own account of a node, in one sentence where it has one; empty when it cannot say."""
        try:
            said = self.get(f"/v1/nodes/{quote(ref, safe='')}/why")
        except ApiFailed:
            return ""
        return str(said.get("sentence") or json.dumps(said))

    def timeline(self, ref: str) -> list[Json]:
        """Every event of the node, oldest first."""
        events: list[Json] = []
        after: object = None
        while True:
            page = self.get(f"/v1/nodes/{quote(ref, safe='')}/timeline", after=after, limit=1000)
            events += page["items"]
            if not page["items"] or page.get("next") in (None, after):
                return events
            after = page["next"]

    def close(self) -> None:
        self._pool.close()

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        # Only a question is asked twice: the appliance may be restarting, or the kept connection may be stale.
        for attempt in range(3 if method == "GET" else 1):
            if attempt:
                time.sleep(0.5 * attempt)
            try:
                return self._send(method, path, body=data, headers=headers, limit_s=_ANSWER_S)
            except ApiFailed as fault:
                if not fault.is_passing:
                    raise
                last = fault
        raise last

    def _send(self, method: str, path: str, *, body: Any, headers: Mapping[str, str], limit_s: float) -> Json:
        asked = {"Accept": "application/json", **headers}
        if self._token is not None:
            asked["Authorization"] = f"Bearer {self._token}"
        try:
            answer = self._pool.urlopen(
                method,
                path,
                body=body,
                headers=asked,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=limit_s),
            )
        except (urllib3.exceptions.HTTPError, OSError) as cause:
            raise ApiFailed(0, f"{method} {path}: no answer", why=" ".join(str(cause).split())[:300]) from cause
        return _decode(f"{method} {path.partition('?')[0]}", answer.status, answer.data)


def _decode(asked: str, status: int, raw: bytes) -> Json:
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = {}
    if status < 300 and isinstance(body, dict):
        return body
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        raise ApiFailed(status, f"{asked}: answered {status} without saying why")
    raise ApiFailed(
        status,
        f"{asked}: {error.get('message')}",
        why=str(error.get("why") or ""),
        next_step=str(error.get("next") or ""),
    )
