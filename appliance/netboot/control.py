"""Talks to the control process over its unix socket (JSON over HTTP). Every call has a deadline; failure is
ControlDown.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from pxe.types import Action, BootPlan, Client

log = logging.getLogger(__name__)

_PLAN_S = 3.0  # firmware asks again after four seconds
_SCRIPT_S = 5.0
_PUSH_S = 10.0
_LARGEST_REPLY = 32 << 20


class ControlDown(Exception):
    """The control process does not answer, or answers nonsense."""


class ControlRefused(ControlDown):
    """Control answers, and will never take this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    path: Path
    size: int
    sha256: str | None


class Control:
    """One client for the whole process; close it at the end."""

    def __init__(self, socket_path: Path) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=str(socket_path), limit=16),
            base_url="http://control",
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def config(self, *, revision: str, wait_s: int) -> bytes | None:
        """The configuration as sent, or `None` when `revision` is still the newest after wait_s."""
        params = {"revision": revision, "wait": str(wait_s)}
        status, body = await self._call("GET", "/internal/netboot", deadline_s=wait_s + 10, params=params)
        return None if status == 304 else _expect(200, status, body)

    async def plan(self, client: Client, *, address: IPv4Address | None, subnet: str, server: IPv4Address) -> BootPlan:
        asked = {
            "mac": client.mac,
            "architecture": client.architecture,
            "firmware": client.firmware.value,
            "stage": client.stage.value,
            "address": str(address) if address is not None else None,
            "subnet": subnet,
            "server": str(server),
        }
        status, body = await self._call("POST", "/internal/boot/plan", deadline_s=_PLAN_S, json=asked)
        tree = _object(_expect(200, status, body))
        try:
            return BootPlan(action=Action(tree["action"]), why=str(tree["why"])[:200], node=tree.get("node"))
        except (KeyError, ValueError) as cause:
            raise ControlDown(f"boot plan: {cause!r}") from cause

    async def script(self, params: Mapping[str, str]) -> bytes:
        """params: mac, address, server, platform."""
        status, body = await self._call("GET", "/internal/boot/script", deadline_s=_SCRIPT_S, params=params)
        return _expect(200, status, body)

    async def file(self, *, path: str, token: str, address: str) -> ImageFile | None:
        params = {"path": path, "token": token, "address": address}
        status, body = await self._call("GET", "/internal/file", deadline_s=_SCRIPT_S, params=params)
        if status in {403, 404}:
            return None
        tree = _object(_expect(200, status, body))
        try:
            return ImageFile(path=Path(tree["file"]), size=int(tree["size"]), sha256=tree.get("sha256"))
        except (KeyError, TypeError, ValueError) as cause:
            raise ControlDown(f"file: {cause!r}") from cause

    async def call_home(self, *, token: str, address: str, fields: Mapping[str, str]) -> bool:
        """False: nobody waits for that token."""
        body = {"token": token, "address": address, "fields": dict(fields)}
        status, reply = await self._call("POST", "/internal/call-home", deadline_s=_SCRIPT_S, json=body)
        if status == 404:
            return False
        _expect(204, status, reply)
        return True

    async def push(self, what: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """what: `events` or `leases`."""
        path = f"/internal/{what}"
        status, body = await self._call("POST", path, deadline_s=_PUSH_S, json={what: list(entries)})
        _expect(204, status, body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        deadline_s: float,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> tuple[int, bytes]:
        body = None if json is None else orjson.dumps(json)
        headers = {} if json is None else {"Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=deadline_s)
        try:
            async with self._session.request(
                method, path, params=params, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                if (reply.content_length or 0) > _LARGEST_REPLY:
                    raise ControlDown(f"{path}: the reply is too large")
                return reply.status, await reply.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as cause:
            raise ControlDown(f"{path}: {cause!r}") from cause


def _expect(wanted: int, status: int, body: bytes) -> bytes:
    if status != wanted:
        kind = ControlRefused if status in {400, 413, 422} else ControlDown
        raise kind(f"control answered {status}: {body[:200]!r}")
    return body


def _object(body: bytes) -> dict[str, Any]:
    try:
        tree = orjson.loads(body)
    except ValueError as cause:
        raise ControlDown("control answered no JSON") from cause
    if not isinstance(tree, dict):
        raise ControlDown("control answered no JSON object")
    return tree
