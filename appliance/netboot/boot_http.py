"""The boot HTTP face on the provisioning networks: boot files, boot scripts, images, call-home. Nothing else, no TLS.

Who asks is decided by the address of the connection and the lease book, never by what the request claims: a script
that may carry a secret goes only to the machine that holds the lease. File bytes go out by sendfile.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from appliance.netboot.control import ControlDown, ImageFile
from pxe import ipxe
from pxe.errors import FileMissing, FileRefused
from pxe.needs import EventValue, FileSource, Journal
from pxe.types import Mac

log = logging.getLogger(__name__)

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}\Z")
_IMAGE_PATH = re.compile(r"/image/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LARGEST_CALL_HOME = 64 * 1024
_MOST_FIELDS = 32
_LONGEST_FIELD = 8192

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Backend(Protocol):
    """The part of `Control` that is needed here."""

    async def script(self, params: Mapping[str, str]) -> bytes: ...

    async def file(self, *, path: str, token: str, address: str) -> ImageFile | None: ...

    async def call_home(self, *, token: str, address: str, fields: Mapping[str, str]) -> bool: ...


class _WatchedFile(web.FileResponse):
    """Sends a file by sendfile and tells the journal when it began and how it ended."""

    def __init__(self, path: Path, *, journal: Journal, mac: Mac | None, facts: dict[str, EventValue]) -> None:
        super().__init__(path, chunk_size=256 * 1024)
        self._journal = journal
        self._mac = mac
        self._facts = facts

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Aiohttp sends the whole file in here."""
        began = time.monotonic()
        self._journal.record("http.start", self._mac, f"fetches {request.path}", self._facts)
        fault = ""
        try:
            return await super().prepare(request)
        except OSError as cause:
            fault = f"stopped: {cause}"
            raise
        except asyncio.CancelledError:
            fault = "stopped: the client went away"
            raise
        finally:
            self._tell(request, fault, time.monotonic() - began)

    def _tell(self, request: web.BaseRequest, fault: str, duration_s: float) -> None:
        is_done = not fault and self.status in {200, 206, 304}
        facts = {**self._facts, "duration_s": round(duration_s, 3), "status": self.status, "size": self.content_length}
        message = f"{request.path} {fault or self.status}"
        self._journal.record("http.done" if is_done else "http.failed", self._mac, message, facts)
        log.info("http file path=%s mac=%s result=%s", request.path, self._mac, fault or self.status)


class BootHttp:
    def __init__(
        self,
        *,
        root: Path,
        files: FileSource,
        backend: Backend,
        journal: Journal,
        mac_of: Callable[[IPv4Address], Mac | None],
        health: Callable[[], Mapping[str, object]],
    ) -> None:
        """root: the folder that `files` serves. mac_of: the machine that holds the live lease of an address."""
        self._root = root
        self._files = files
        self._backend = backend
        self._journal = journal
        self._mac_of = mac_of
        self._health = health

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_CALL_HOME)
        application.router.add_get("/boot.ipxe", self._script)
        application.router.add_get("/boot/{name:.+}", self._boot_file)
        application.router.add_get("/image/{rest:.+}", self._image)
        application.router.add_post("/call-home/{token}", self._call_home)
        application.router.add_get("/healthz", self._healthz)
        return application

    # -- boot files

    async def _boot_file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            opened = self._files.open(name)
        except (FileMissing, FileRefused):
            facts = self._facts(request)
            self._journal.record("http.failed", self._machine(request), f"{name[:128]}: no such file", facts)
            raise web.HTTPNotFound(text="no such file\n") from None
        os.close(opened)
        return self._send_file(request, self._root / name)

    def _send_file(self, request: web.Request, path: Path) -> web.StreamResponse:
        reply = _WatchedFile(path, journal=self._journal, mac=self._machine(request), facts=self._facts(request))
        reply.content_type = "application/octet-stream"
        return reply

    # -- boot scripts

    async def _script(self, request: web.Request) -> web.StreamResponse:
        address, mac = self._address(request), self._machine(request)
        claimed = request.query.get("mac", "").lower().replace("-", ":")
        platform: ipxe.Platform = "efi" if request.query.get("platform") == "efi" else "pcbios"
        if mac is None or (claimed and claimed != mac):
            log.warning("boot script refused address=%s mac=%s claimed=%r", address, mac, claimed[:32])
            text = ipxe.local_boot_script(platform, why="this address has no lease for that machine")
        else:
            text = await self._ask_script(request, mac, platform)
        self._journal.record("http.done", mac, "fetched its boot script", self._facts(request))
        return web.Response(text=text, content_type="text/plain")

    async def _ask_script(self, request: web.Request, mac: Mac, platform: ipxe.Platform) -> str:
        server = (request.get_extra_info("sockname") or ("",))[0]
        params = {"mac": mac, "address": str(self._address(request)), "server": server, "platform": platform}
        try:
            return (await self._backend.script(params)).decode()
        except (ControlDown, UnicodeDecodeError) as fault:
            log.warning("boot script not known mac=%s fault=%s", mac, fault)
            return ipxe.local_boot_script(platform, why="the appliance cannot tell what to boot now")

    # -- images and call-home

    async def _image(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("token", "")
        if not _IMAGE_PATH.match(request.path) or not _TOKEN.match(token):
            raise web.HTTPNotFound(text="no such image\n")
        try:
            found = await self._backend.file(path=request.path, token=token, address=str(self._address(request)))
        except ControlDown as fault:
            log.warning("image lookup failed path=%s fault=%s", request.path, fault)
            raise web.HTTPServiceUnavailable(text="try again\n", headers={"Retry-After": "3"}) from fault
        if found is None or not found.path.is_file():
            facts = self._facts(request)
            self._journal.record("http.failed", self._machine(request), f"{request.path}: no such image", facts)
            raise web.HTTPNotFound(text="no such image\n")
        return self._send_file(request, found.path)

    async def _call_home(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        if not _TOKEN.match(token):
            raise web.HTTPNotFound(text="nobody waits for that\n")
        form = list((await request.post()).items())[:_MOST_FIELDS]
        fields = {name[:64]: value[:_LONGEST_FIELD] for name, value in form if isinstance(value, str)}
        address = str(self._address(request))
        try:
            is_awaited = await self._backend.call_home(token=token, address=address, fields=fields)
        except ControlDown as fault:
            log.warning("call-home not passed on fault=%s", fault)
            raise web.HTTPServiceUnavailable(text="try again\n", headers={"Retry-After": "3"}) from fault
        if not is_awaited:
            raise web.HTTPNotFound(text="nobody waits for that\n")
        return web.Response(text="ok\n")

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self._health())

    # -- who and what

    def _address(self, request: web.Request) -> IPv4Address:
        peer = (request.get_extra_info("peername") or ("0.0.0.0",))[0]
        address = ip_address(peer)
        return address if isinstance(address, IPv4Address) else IPv4Address(0)

    def _machine(self, request: web.Request) -> Mac | None:
        return self._mac_of(self._address(request))

    def _facts(self, request: web.Request) -> dict[str, EventValue]:
        """Never the query string: it may hold a token."""
        return {"path": request.path[:200], "address": str(self._address(request))}
