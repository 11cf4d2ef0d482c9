"""The netboot process: wires the servers together and keeps them in step with control and with the interfaces."""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from aiohttp import web

from appliance.netboot import config as configuration
from appliance.netboot import interfaces
from appliance.netboot.boot_http import BootHttp
from appliance.netboot.config import BadConfig, NetbootConfig
from appliance.netboot.control import Control, ControlDown
from appliance.netboot.health_file import HealthFile
from appliance.netboot.lease_store import LeaseStore
from appliance.netboot.listeners import Listener, Listeners, Opener
from appliance.netboot.names import Names
from appliance.netboot.outbox import Reporter
from appliance.netboot.plans import Plans
from appliance.netboot.scopes import Scopes
from pxe import sockets
from pxe.dhcp4.server import DhcpServer
from pxe.dns.responder import Responder
from pxe.dns.server import DnsServer
from pxe.errors import StorageFault
from pxe.ra import RouterAdvertiser
from pxe.tftp.files import Tree
from pxe.tftp.server import TftpServer
from pxe.types import Lease, Mac

log = logging.getLogger(__name__)

_WAIT_S = 25
_RETRY_S = 2.0
_NAMES_REFRESH_S = 60.0
_LONGEST_PAUSE_S = 5.0
_LAST_PUSH_S = 2.0
_HEALTH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports other than the well-known ones are for tests."""

    http: int = 8080
    tftp: int = 69
    dns: int = 53
    dhcp: int = 67


class Netboot:
    """Everything of the process. Made and used inside a running event loop."""

    def __init__(self, state_dir: Path, ports: Ports) -> None:
        self._ports = ports
        self._kept_config = state_dir / "netboot" / "config.json"
        self._health_file = HealthFile(state_dir / "run" / "netboot.json")
        self._store = LeaseStore(state_dir / "netboot" / "leases.db")
        self._control = Control(state_dir / "run" / "control.sock")
        self._reporter = Reporter(self._control, clock=time.time)
        self._config = NetbootConfig()
        self._is_control_up = False
        self._changed = asyncio.Event()
        self._scopes = Scopes([], http_port=ports.http)
        self._names = Names(self._config, located=lambda _subnet, _mac: None, now=time.time())
        self._plans = Plans(self._control, knows=self._knows, clock=time.monotonic)
        files = Tree(state_dir / "boot")
        self._dhcp = DhcpServer(
            plans=self._plans,
            leases=self._store,
            journal=self._reporter,
            clock=time.time,
            told=self._on_lease,
            port=ports.dhcp,
        )
        self._tftp = TftpServer(files=files, journal=self._reporter, mac_of=self._mac_of, port=ports.tftp)
        self._dns = DnsServer(Responder(self._names.zone), port=ports.dns)
        self._advertiser = RouterAdvertiser()
        http = BootHttp(
            root=state_dir / "boot",
            files=files,
            backend=self._control,
            journal=self._reporter,
            mac_of=self._mac_of,
            health=self.health,
        )
        self._http = web.AppRunner(http.application(), access_log=None, shutdown_timeout=2.0, keepalive_timeout=20)
        self._sites: dict[Listener, web.SockSite] = {}
        self.listeners = Listeners(self._openers())

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        await self._http.setup()
        self._scopes = Scopes(self._load_leases(), http_port=self._ports.http)
        self._load_kept_config()
        await self._arrange()
        watch = interfaces.Watch(self._changed.set)
        tasks = [
            asyncio.create_task(job)
            for job in (
                self._follow_control(),
                self._follow_changes(),
                self._refresh_names(),
                self._tell_health(),
                self._reporter.events.run(),
                self._reporter.leases.run(),
            )
        ]
        try:
            await stop.wait()
        finally:
            watch.close()
            self._health_file.remove()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop()

    def health(self) -> Mapping[str, object]:
        faults = [*self.listeners.faults.values(), *self._scopes.faults.values()]
        faults += [self._dhcp.storage_fault] if self._dhcp.storage_fault else []
        return {
            "status": "ok" if not faults else "degraded",
            "control": "up" if self._is_control_up else "down",
            "faults": faults,
            "subnets": [subnet.name for subnet in self._config.subnets],
            "dropped_events": self._reporter.events.dropped,
        }

    # -- following

    async def _follow_control(self) -> None:
        pause_s = 0.2
        while True:
            try:
                wait_s = _WAIT_S if self._is_control_up else 0  # the first answer also tells that control is back
                body = await self._control.config(revision=self._config.revision, wait_s=wait_s)
                if not self._is_control_up:
                    log.info("control is up revision=%s", self._config.revision)
                self._is_control_up = True
                pause_s = 0.2
                if body is not None:
                    self._take(body)
                continue
            except (ControlDown, BadConfig) as fault:
                if self._is_control_up or pause_s >= _LONGEST_PAUSE_S:
                    log.warning("no configuration from control; serving on with the last one fault=%s", fault)
                self._is_control_up = False
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.3))  # noqa: S311  (jitter, not a secret)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _take(self, body: bytes) -> None:
        """Raises BadConfig."""
        config = configuration.parse(body)
        if config.revision != self._config.revision:
            log.info("configuration taken revision=%s subnets=%d", config.revision, len(config.subnets))
        self._config = config
        self._plans.forget()
        self._changed.set()
        try:
            configuration.keep(self._kept_config, body)
        except OSError as fault:
            log.warning("configuration not kept file=%s fault=%s", self._kept_config, fault)

    def _load_kept_config(self) -> None:
        try:
            self._config = configuration.parse(self._kept_config.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, BadConfig) as fault:
            log.warning("kept configuration not used fault=%s", fault)

    def _load_leases(self) -> list[Lease]:
        try:
            return list(self._store.load())
        except StorageFault as fault:
            log.error("%s", fault)  # noqa: TRY400  (the disk, not a bug)
            self._dhcp.storage_fault = str(fault)
            return []

    async def _follow_changes(self) -> None:
        while True:
            timeout_s = _RETRY_S if self.listeners.faults or self._scopes.faults else None
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                log.debug("trying again to listen faults=%d", len(self.listeners.faults))
            self._changed.clear()
            try:
                await self._arrange()
            except Exception:  # a loop top: tried again, what listens goes on
                log.exception("listeners could not be arranged")
                await asyncio.sleep(_RETRY_S)

    async def _refresh_names(self) -> None:
        """Leases that ran out take their names along."""
        while True:
            await asyncio.sleep(_NAMES_REFRESH_S)
            self._names.publish_all(self._scopes.servers())

    async def _tell_health(self) -> None:
        """For `rackwright doctor`, which asks control: a fault here is told even when boot HTTP cannot listen."""
        while True:
            self._health_file.tell(self.health())
            await asyncio.sleep(_HEALTH_S)

    # -- arranging

    async def _arrange(self) -> None:
        there = interfaces.present()
        before = self._scopes.faults
        await self._dhcp.serve(lambda: self._scopes.arrange(self._config, there))
        for name, fault in self._scopes.faults.items():
            if before.get(name) != fault:
                log.error("%s", fault)
        self._names = Names(
            self._config,
            located=lambda subnet, mac: self._scopes.address_of(subnet, mac, time.time()),
            now=time.time(),
        )
        self._names.publish_all(self._scopes.servers())
        self._dns.responder = Responder(self._names.zone)
        await self.listeners.arrange(self._wanted(there))

    def _wanted(self, there: Mapping[str, interfaces.Interface]) -> list[Listener]:
        wanted = []
        for name, nets in self._scopes.networks.items():
            index = there[name].index
            wanted += [Listener(service=kind, interface=name, index=index) for kind in ("dhcp", "ra")]
            for address in {net.place.server for net in nets}:
                wanted += [
                    Listener(service=kind, interface=name, index=index, address=address)
                    for kind in ("tftp", "dns", "http")
                ]
        if "lo" in there and not any(entry.interface == "lo" and entry.service == "http" for entry in wanted):
            home = IPv4Address("127.0.0.1")  # for health checks, also while there is no subnet
            wanted.append(Listener(service="http", interface="lo", index=there["lo"].index, address=home))
        return wanted

    def _openers(self) -> dict[str, Opener]:
        async def open_dhcp(at: Listener) -> None:
            self._dhcp.open(at.interface)

        async def close_dhcp(at: Listener) -> None:
            self._dhcp.close(at.interface)

        async def open_ra(at: Listener) -> None:
            self._advertiser.open(at.interface)

        async def close_ra(at: Listener) -> None:
            self._advertiser.close(at.interface)

        async def open_tftp(at: Listener) -> None:
            self._tftp.open(at.interface, _address(at))

        async def close_tftp(at: Listener) -> None:
            self._tftp.close(at.interface, _address(at))

        async def open_dns(at: Listener) -> None:
            await self._dns.open(at.interface, _address(at))

        async def close_dns(at: Listener) -> None:
            self._dns.close(at.interface, _address(at))

        return {
            "dhcp": Opener(open=open_dhcp, close=close_dhcp),
            "ra": Opener(open=open_ra, close=close_ra),
            "tftp": Opener(open=open_tftp, close=close_tftp),
            "dns": Opener(open=open_dns, close=close_dns),
            "http": Opener(open=self._open_http, close=self._close_http),
        }

    async def _open_http(self, at: Listener) -> None:
        opened = sockets.tcp(what="boot HTTP", interface=at.interface, address=_address(at), port=self._ports.http)
        site = web.SockSite(self._http, opened, backlog=512)
        await site.start()
        self._sites[at] = site

    async def _close_http(self, at: Listener) -> None:
        site = self._sites.pop(at, None)
        if site is not None:
            await site.stop()

    async def _stop(self) -> None:
        await self._dhcp.stop()
        self._tftp.stop()
        self._advertiser.stop()
        await self._http.cleanup()
        self._dns.stop()
        try:
            async with asyncio.timeout(_LAST_PUSH_S):
                await self._reporter.leases.flush()
                await self._reporter.events.flush()
        except TimeoutError:
            log.info("control did not take the last events")
        await self._control.close()
        self._store.close()

    # -- answers for the servers

    def _knows(self, mac: Mac) -> bool:
        return self._config.knows(mac)

    def _mac_of(self, address: IPv4Address) -> Mac | None:
        return self._scopes.owner(address, time.time())

    def _on_lease(self, lease: Lease) -> None:
        self._reporter.lease(lease)
        self._names.publish(lease.mac)


def _address(at: Listener) -> IPv4Address:
    if at.address is None:
        raise ValueError(f"{at.service} listens on an address")
    return at.address
