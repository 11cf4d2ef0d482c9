"""Which drivers there are, and the connections of this process."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from bmc.api import Bmc
from bmc.breaker import Breaker
from bmc.errors import Unsupported
from bmc.fake.driver import FakeBmc, FakeMachines
from bmc.ipmi.driver import IpmiBmc
from bmc.ipmi.gate import LoginGate
from bmc.ipmi.loop import shared_loop
from bmc.manual.driver import ManualBmc, ManualRecords
from bmc.redfish.client import RedfishClient
from bmc.redfish.driver import RedfishBmc
from bmc.types import BmcTarget


class ClosableBmc(Bmc, Protocol):
    def close(self) -> None: ...


class Connections:
    """Kept sessions: one `Bmc` per target, made without any exchange. For all threads; `close` logs out of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str, int], tuple[BmcTarget, ClosableBmc]] = {}
        self._fakes = FakeMachines()
        self._manual = ManualRecords()
        self._gate: LoginGate | None = None
        self._makers: Mapping[str, Callable[[BmcTarget], ClosableBmc]] = {
            "ipmi": self._ipmi,
            "redfish": lambda target: RedfishBmc(target, client=RedfishClient(target, breaker=Breaker())),
            "manual": lambda target: ManualBmc(target, self._manual),
            "fake": lambda target: FakeBmc(target, self._fakes),
        }

    def connect(self, target: BmcTarget) -> Bmc:
        """The kept connection; with other credentials or options than before, a new one in its place."""
        key = _key(target)
        with self._lock:
            known = self._open.get(key)
            if known is not None and known[0] == target:
                return known[1]
            maker = self._makers.get(target.driver)
            if maker is None:
                raise Unsupported(f"There is no BMC driver {target.driver!r}; there are {', '.join(DRIVER_NAMES)}.")
            made = maker(target)
            self._open[key] = (target, made)
        if known is not None:
            known[1].close()
        return made

    def _ipmi(self, target: BmcTarget) -> IpmiBmc:
        """The first BMC that needs it starts pyghmi's thread."""
        loop = shared_loop()
        self._gate = self._gate or LoginGate(loop)
        return IpmiBmc(target, loop=loop, gate=self._gate, breaker=Breaker())

    def forget(self, target: BmcTarget) -> None:
        with self._lock:
            known = self._open.pop(_key(target), None)
        if known is not None:
            known[1].close()

    def close(self) -> None:
        with self._lock:
            everything = list(self._open.values())
            self._open.clear()
        for _, bmc in everything:
            bmc.close()


def _key(target: BmcTarget) -> tuple[str, str, int]:
    return (target.driver, target.address, target.udp_port)


DRIVER_NAMES: tuple[str, ...] = ("ipmi", "redfish", "manual", "fake")
