"""A pretend machine for virtual BMCs: it obeys at once and remembers what it was told."""

from collections.abc import Callable

from bmc.types import BootDevice


class PretendMachine:
    """`history` holds the names of the calls that changed something. What is typed comes back in capitals."""

    def __init__(self, *, is_on: bool = False) -> None:
        self._is_on = is_on
        self._sink: Callable[[bytes], None] | None = None
        self.history: list[str] = []
        self.once: BootDevice | None = None
        self.persistent = BootDevice.NONE
        self.typed = b""

    def is_on(self) -> bool:
        return self._is_on

    def power_on(self) -> None:
        self.history.append("on")
        self._is_on, self.once = True, None

    def power_off(self) -> None:
        self.history.append("off")
        self._is_on = False

    def reset(self) -> None:
        self.history.append("reset")
        self.once = None

    def soft_off(self) -> None:
        self.history.append("soft")
        self._is_on = False

    def pulse_nmi(self) -> None:
        self.history.append("nmi")

    def set_boot_order(self, *, once: BootDevice | None, persistent: BootDevice) -> None:
        self.once, self.persistent = once, persistent

    def console_write(self, data: bytes) -> None:
        self.typed += data
        self.say(data.upper())

    def on_console(self, sink: Callable[[bytes], None] | None) -> None:
        self._sink = sink

    def say(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
