"""What shall this machine boot: control's answer, kept for two seconds. When control does not answer, its answer of the
last minute, so that a busy moment does not end a boot; failing that, the harmless choice.

Firmware asks two to four times per boot, and a storm of machines must not become a storm of questions. Fulfils
`pxe.needs.BootDirectory`.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Protocol

from appliance.netboot.control import ControlDown
from pxe.types import Action, BootPlan, Client, Mac

log = logging.getLogger(__name__)

_KEEP_S = 2.0
_STALE_S = 60.0
_KEPT_PLANS = 4096


class PlanSource(Protocol):
    """The part of `Control` that is needed here."""

    async def plan(
        self, client: Client, *, address: IPv4Address | None, subnet: str, server: IPv4Address
    ) -> BootPlan: ...


class Plans:
    def __init__(self, source: PlanSource, *, knows: Callable[[Mac], bool], clock: Callable[[], float]) -> None:
        """clock: seconds that never go back."""
        self._source = source
        self._knows = knows
        self._clock = clock
        self._kept: OrderedDict[tuple[Client, str], tuple[float, BootPlan]] = OrderedDict()
        self._forgotten_at = float("-inf")
        self._asking: dict[tuple[Client, str], asyncio.Task[BootPlan]] = {}

    async def plan_for(
        self, client: Client, *, address: IPv4Address | None, subnet: str, server: IPv4Address
    ) -> BootPlan:
        key = (client, subnet)
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < _KEEP_S and not self._is_stale(kept[0]):
            return kept[1]
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, address, server))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Control changed something: ask again."""
        self._forgotten_at = self._clock()

    def _is_stale(self, asked_at: float) -> bool:
        return asked_at <= self._forgotten_at

    async def _ask(self, key: tuple[Client, str], address: IPv4Address | None, server: IPv4Address) -> BootPlan:
        client, subnet = key
        asked_at = self._clock()
        try:
            plan = await self._source.plan(client, address=address, subnet=subnet, server=server)
        except ControlDown as fault:
            kept = self._kept.get(key)
            is_fresh = kept is not None and self._clock() - kept[0] < _STALE_S
            plan = kept[1] if kept is not None and is_fresh else self._fallback(client.mac)
            log.warning("boot plan not known mac=%s action=%s fault=%s", client.mac, plan.action, fault)
            return plan
        self._kept.pop(key, None)
        self._kept[key] = (asked_at, plan)
        if len(self._kept) > _KEPT_PLANS:
            self._kept.popitem(last=False)
        return plan

    def _fallback(self, mac: Mac) -> BootPlan:
        """A machine that we know most likely has a system to run; one that we do not is left alone."""
        if self._knows(mac):
            return BootPlan(action=Action.LOCAL, why="control is away; a known machine boots its own disk")
        return BootPlan(action=Action.IGNORE, why="control is away; an unknown machine is left alone")
