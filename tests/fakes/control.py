"""A control process for netboot tests: Seam A on a unix socket, with everything that it was told kept in lists.

Runs its own event loop in a thread, so that tests may be plain functions; it answers also while the test waits.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Json = Mapping[str, Any]


@dataclass
class FakeControl:
    """config: the body of GET /internal/netboot; plan and script decide by what is asked."""

    config: dict[str, Any]
    plan: Callable[[Json], Json] = lambda _asked: {"action": "ignore", "why": "test", "node": None}
    script: Callable[[Json], str] = lambda _asked: "#!ipxe\nexit\n"
    files: dict[str, Json] = field(default_factory=dict)
    call_home_tokens: set[str] = field(default_factory=set)
    plans_asked: list[Json] = field(default_factory=list)
    scripts_asked: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    leases: list[Json] = field(default_factory=list)
    calls_home: list[Json] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, socket_path: Path) -> None:
        """Listen; returns when it does."""
        socket_path.parent.mkdir(parents=True, exist_ok=True)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(socket_path,), daemon=True)
        self._thread.start()
        if not self._ready.wait(30):
            raise TimeoutError("the fake control did not start")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def change(self, **changes: Any) -> None:
        """Change the configuration and wake the long poll."""

        def apply() -> None:
            self.config = {**self.config, **changes}
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        self._loop.call_soon_threadsafe(apply)

    def kinds(self, mac: str | None = None) -> list[str]:
        return [event["kind"] for event in list(self.events) if mac is None or event["mac"] == mac]

    def _run(self, socket_path: Path) -> None:
        asyncio.run(self._serve(socket_path))

    async def _serve(self, socket_path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        application = web.Application()
        application.router.add_get("/internal/netboot", self._on_netboot)
        application.router.add_post("/internal/boot/plan", self._on_plan)
        application.router.add_get("/internal/boot/script", self._on_script)
        application.router.add_get("/internal/file", self._on_file)
        application.router.add_post("/internal/call-home", self._on_call_home)
        application.router.add_post("/internal/events", self._on_events)
        application.router.add_post("/internal/leases", self._on_leases)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(socket_path)).start()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _on_netboot(self, request: web.Request) -> web.Response:
        if request.query.get("revision") == str(self.config["revision"]):
            try:
                async with asyncio.timeout(float(request.query.get("wait", "0"))):
                    await self._changed.wait()
            except TimeoutError:
                return web.Response(status=304)
        return web.json_response(self.config)

    async def _on_plan(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.plans_asked.append(asked)
        return web.json_response(self.plan(asked))

    async def _on_script(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        self.scripts_asked.append(asked)
        return web.Response(text=self.script(asked))

    async def _on_file(self, request: web.Request) -> web.Response:
        found = self.files.get(request.query["path"])
        if found is None or found.get("token") != request.query["token"]:
            return web.Response(status=404)
        return web.json_response({"file": found["file"], "size": found["size"], "sha256": None})

    async def _on_call_home(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["token"] not in self.call_home_tokens:
            return web.Response(status=404)
        self.calls_home.append(body)
        return web.Response(status=204)

    async def _on_events(self, request: web.Request) -> web.Response:
        self.events += (await request.json())["events"]
        return web.Response(status=204)

    async def _on_leases(self, request: web.Request) -> web.Response:
        self.leases += (await request.json())["leases"]
        return web.Response(status=204)


def netboot_config(interface: str, *, cidr: str = "10.77.0.0/24", **changes: Any) -> dict[str, Any]:
    """One subnet `lab` with the pool .100 to .180."""
    stem = cidr.rsplit(".", 1)[0]
    subnet: dict[str, Any] = {
        "name": "lab",
        "cidr": cidr,
        "pool_start": f"{stem}.100",
        "pool_end": f"{stem}.180",
        "interface": interface,
        "gateway": None,
        "domain": "rack.internal",
        "lease_s": 3600,
        "reservations": [],
    }
    return {
        "revision": 1,
        "discovery": True,
        "domain": "rack.internal",
        "http_port": 8080,
        "subnets": [subnet],
        "hosts": [],
        **changes,
    }
