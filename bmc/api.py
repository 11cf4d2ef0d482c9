"""What can be asked of a BMC, as capabilities. Ask `isinstance(bmc, HasSensors)`, never a vendor's name.

Every call blocks its caller for at most `deadline_s` seconds and then raises a `bmc.errors.BmcError`; calls to one BMC
are queued so that it holds one conversation at a time. Calls may come from any thread.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from bmc.types import BmcInfo, BootOverride, LanInfo, PowerAction, PowerState, SelEntry, Sensor


@runtime_checkable
class HasPower(Protocol):
    def power_state(self, *, deadline_s: float = 10.0) -> PowerState: ...

    def power(self, action: PowerAction, *, deadline_s: float = 10.0) -> None:
        """Ask once; it returns when the BMC accepted, not when the machine obeyed. Repeating ON or OFF is harmless."""
        ...


@runtime_checkable
class HasBootDevice(Protocol):
    def boot_override(self, *, deadline_s: float = 10.0) -> BootOverride: ...

    def set_boot_override(self, override: BootOverride, *, deadline_s: float = 10.0) -> None:
        """Set and read back; raises `Unsupported` when the BMC accepted and ignored it."""
        ...


@runtime_checkable
class HasIdentity(Protocol):
    def info(self, *, deadline_s: float = 10.0) -> BmcInfo: ...

    def lan(self, *, deadline_s: float = 10.0) -> LanInfo: ...


@runtime_checkable
class HasSensors(Protocol):
    def sensors(self, *, deadline_s: float = 30.0) -> list[Sensor]: ...


@runtime_checkable
class HasEventLog(Protocol):
    def event_log(self, *, deadline_s: float = 30.0) -> list[SelEntry]: ...


@runtime_checkable
class HasFru(Protocol):
    def fru(self, *, deadline_s: float = 30.0) -> dict[str, str]: ...


@runtime_checkable
class HasIdentify(Protocol):
    def identify(self, *, on_s: int, deadline_s: float = 10.0) -> None:
        """Light the chassis identify LED for on_s seconds (0 = off)."""
        ...


class ConsoleStream(Protocol):
    """An open serial console. Bytes arrive at the callback given to `open_console` until `close` or a fault."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    @property
    def is_open(self) -> bool: ...


@runtime_checkable
class HasConsole(Protocol):
    def open_console(self, on_bytes: Callable[[bytes], None], *, deadline_s: float = 15.0) -> ConsoleStream: ...


@runtime_checkable
class Bmc(HasPower, HasBootDevice, Protocol):
    """The least that every driver offers."""
