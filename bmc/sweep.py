"""Ask many BMCs for their power state at once."""

import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from bmc.api import Bmc
from bmc.errors import BmcError
from bmc.registry import Connections
from bmc.types import BmcTarget, PowerState

THREADS = 64


@runtime_checkable
class HasPowerLater(Protocol):
    """A driver that can ask without a thread that waits."""

    def power_state_later(self, *, deadline_s: float = 10.0) -> "Future[PowerState]": ...


def sweep(
    connections: Connections, targets: Iterable[BmcTarget], *, deadline_s: float = 10.0, concurrency: int = 1024
) -> Iterator[tuple[BmcTarget, PowerState | BmcError]]:
    """Each target once, in order of completion.

    A BMC that does not answer takes its own deadline and one of `concurrency` places; the others go on meanwhile.
    Drivers that need a thread per question share `THREADS` threads, so there a dead BMC holds one of these.
    """
    finished: queue.SimpleQueue[tuple[BmcTarget, Future[PowerState]]] = queue.SimpleQueue()
    waiting = iter(targets)
    with ThreadPoolExecutor(max_workers=min(THREADS, concurrency), thread_name_prefix="bmc-sweep") as pool:

        def start() -> int:
            target = next(waiting, None)
            if target is None:
                return 0
            future = _ask(connections, target, deadline_s, pool)
            future.add_done_callback(lambda done: finished.put((target, done)))
            return 1

        under_way = sum(start() for _ in range(concurrency))
        while under_way:
            target, done = finished.get()
            under_way += start() - 1
            try:
                yield target, done.result()
            except BmcError as error:
                yield target, error


def _ask(
    connections: Connections, target: BmcTarget, deadline_s: float, pool: ThreadPoolExecutor
) -> "Future[PowerState]":
    try:
        bmc: Bmc = connections.connect(target)
    except BmcError as error:
        failed: Future[PowerState] = Future()
        failed.set_exception(error)
        return failed
    if isinstance(bmc, HasPowerLater):
        return bmc.power_state_later(deadline_s=deadline_s)
    return pool.submit(bmc.power_state, deadline_s=deadline_s)
