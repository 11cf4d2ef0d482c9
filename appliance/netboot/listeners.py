"""Keeps what is listened on equal to what should be: opens, closes, tries again. One failure never stops another."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe.errors import ListenFault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Listener:
    """service: a key of the openers. index: of the interface; a new one means that old sockets are dead."""

    service: str
    interface: str
    index: int
    address: IPv4Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """open raises ListenFault; close never fails and may be called only after open."""

    open: Callable[[Listener], Awaitable[None]]
    close: Callable[[Listener], Awaitable[None]]


class Listeners:
    def __init__(self, openers: Mapping[str, Opener]) -> None:
        self._openers = openers
        self._opened: set[Listener] = set()
        self.faults: dict[Listener, str] = {}

    @property
    def opened(self) -> frozenset[Listener]:
        return frozenset(self._opened)

    async def arrange(self, wanted: Iterable[Listener]) -> None:
        """Make it so. A fault is logged once, when it appears, and kept in `faults` until it is gone."""
        goal = set(wanted)
        for listener in sorted(self._opened - goal, key=_order):
            await self._openers[listener.service].close(listener)
            self._opened.discard(listener)
            log.info("stopped listening service=%s interface=%s", listener.service, listener.interface)
        before = self.faults
        self.faults = {}
        for listener in sorted(goal - self._opened, key=_order):
            try:
                await self._openers[listener.service].open(listener)
            except ListenFault as fault:
                self.faults[listener] = str(fault)
                if before.get(listener) != str(fault):
                    log.error("%s", fault)  # noqa: TRY400  (the sentence says it all)
                continue
            self._opened.add(listener)
            where = listener.address or listener.interface
            log.info("listening service=%s interface=%s at=%s", listener.service, listener.interface, where)


def _order(listener: Listener) -> tuple[str, str, int, str]:
    return listener.service, listener.interface, listener.index, str(listener.address)
