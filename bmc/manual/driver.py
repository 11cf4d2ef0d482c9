"""The operator acts: this driver asks, remembers what was asked and believes what it is told.

`power` never does anything by itself: it records the request and raises `Unsupported` with the sentence for the
operator. When the operator has done it, `confirm` says so and the power state is known. Until then the state is not
known and asking for it says that too; nothing is guessed.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from bmc.errors import Unsupported
from bmc.types import BmcTarget, BootDevice, BootOverride, PowerAction, PowerState

SENTENCES: Mapping[PowerAction, str] = {
    PowerAction.ON: "Turn the machine on by hand.",
    PowerAction.OFF: "Turn the machine off by hand: hold its power button.",
    PowerAction.SOFT_OFF: "Shut the machine's system down by hand.",
    PowerAction.RESET: "Press the machine's reset button.",
    PowerAction.CYCLE: "Turn the machine off and on again by hand.",
}
NO_OVERRIDE = BootOverride(device=BootDevice.NONE)
RESULTS: Mapping[PowerAction, PowerState] = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SOFT_OFF: PowerState.OFF,
    PowerAction.RESET: PowerState.ON,
    PowerAction.CYCLE: PowerState.ON,
}


@dataclass(slots=True)
class ManualRecord:
    """requested: the act that is still to be done; state: what was last confirmed."""

    requested: PowerAction | None = None
    state: PowerState | None = None
    boot: BootOverride = NO_OVERRIDE


class ManualRecords:
    """What is known of machines without a BMC, by address. Lost with the process: the operator is asked again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, ManualRecord] = {}

    def of(self, address: str) -> ManualRecord:
        with self._lock:
            return self._records.setdefault(address, ManualRecord())


class ManualBmc:
    """option `power`: "on" or "off", the state to assume until something was confirmed."""

    def __init__(self, target: BmcTarget, records: ManualRecords) -> None:
        self._record = records.of(target.address)
        assumed = target.options.get("power")
        if self._record.state is None and assumed in ("on", "off"):
            self._record.state = PowerState.ON if assumed == "on" else PowerState.OFF

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def requested(self) -> PowerAction | None:
        return self._record.requested

    def confirm(self, action: PowerAction) -> None:
        """The operator says that this was done."""
        self._record.state = RESULTS[action]
        if self._record.requested is action:
            self._record.requested = None

    def power_state(self, *, deadline_s: float = 10.0) -> PowerState:
        del deadline_s
        if self._record.state is None:
            raise Unsupported("This machine has no BMC, and nobody has said whether it is on.")
        return self._record.state

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        del deadline_s
        is_idle = action in (PowerAction.ON, PowerAction.OFF, PowerAction.SOFT_OFF)
        if is_idle and self._record.state is RESULTS[action]:
            return
        self._record.requested = action
        raise Unsupported(f"This machine has no BMC. {SENTENCES[action]}")

    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride:
        del deadline_s
        return self._record.boot

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        """Remembered for the operator's eyes; the firmware's own order decides, and network boot should come first."""
        del deadline_s
        self._record.boot = override
