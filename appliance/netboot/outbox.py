"""What netboot did, on its way to control: bounded queues that drop the oldest, pushed in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from appliance.netboot.control import ControlDown, ControlRefused
from pxe.needs import EventValue
from pxe.types import Lease, Mac

log = logging.getLogger(__name__)

_LIMIT = 10_000
_BATCH = 500
_GATHER_S = 0.2
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0

Entry = Mapping[str, Any]


class Pusher(Protocol):
    """The part of `Control` that is needed here."""

    async def push(self, what: str, entries: Sequence[Entry]) -> None: ...


class Outbox:
    """One queue. `run` is a task that ends by cancellation."""

    def __init__(self, what: str, pusher: Pusher) -> None:
        self.dropped = 0
        self._what = what
        self._pusher = pusher
        self._queue: deque[Entry] = deque()
        self._filled = asyncio.Event()

    def put(self, entry: Entry) -> None:
        if len(self._queue) >= _LIMIT:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(entry)
        self._filled.set()

    async def run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._filled.wait()
            await asyncio.sleep(_GATHER_S)
            if await self.flush():
                pause_s = _FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def flush(self) -> bool:
        """Push what is there. False when control did not take it; it is kept then."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            try:
                await self._pusher.push(self._what, batch)
            except ControlRefused as fault:  # sending it again would keep back all that comes after it
                self.dropped += len(batch)
                log.error("%s refused dropped=%d fault=%s", self._what, len(batch), fault)  # noqa: TRY400
            except ControlDown as fault:
                room = _LIMIT - len(self._queue)
                self.dropped += max(0, len(batch) - room)
                self._queue.extendleft(reversed(batch[-room:] if room else []))
                log.info(
                    "%s not pushed waiting=%d dropped=%d fault=%s", self._what, len(self._queue), self.dropped, fault
                )
                return False
        self._filled.clear()
        return True


class Reporter:
    """Events and leases in the words of the seam. Fulfils `pxe.needs.Journal`."""

    def __init__(self, pusher: Pusher, *, clock: Callable[[], float]) -> None:
        """clock: Unix seconds."""
        self.events = Outbox("events", pusher)
        self.leases = Outbox("leases", pusher)
        self._clock = clock

    def record(self, kind: str, mac: Mac | None, message: str, data: Mapping[str, EventValue]) -> None:
        self.events.put({"at": self._clock(), "mac": mac, "kind": kind, "message": message, "data": dict(data)})

    def lease(self, lease: Lease) -> None:
        self.leases.put(
            {
                "address": str(lease.address),
                "mac": lease.mac,
                "hostname": lease.hostname,
                "subnet": lease.subnet,
                "expires_at": lease.expires_at,
            }
        )
