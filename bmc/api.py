"""What can be asked of a BMC, as capabilities. Ask `isinstance(bmc, HasSensors)`, never a vendor's name.

Every call blocks its caller for at most `deadline_s` seconds and then raises a `bmc.errors.BmcError`; calls to one BMC
are queued so that it holds one conversation at a time. Calls may come from any thread.
"""

from collections.abc import Callable, Collection
from typing import Protocol, runtime_checkable

from bmc.types import (
    BmcInfo,
    BootOverride,
    Indicator,
    LanInfo,
    MediaKind,
    MediaSlot,
    PowerAction,
    PowerState,
    SelEntry,
    Sensor,
)


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


@runtime_checkable
class HasInterrupt(Protocol):
    def interrupt(self, *, deadline_s: float = 10.0) -> None:
        """Give the machine a non-maskable interrupt (NMI). Refused while it is off."""
        ...


@runtime_checkable
class HasVirtualMedia(Protocol):
    def media(self, *, deadline_s: float = 30.0) -> list[MediaSlot]: ...

    def insert_media(self, kind: MediaKind, url: str, *, deadline_s: float = 60.0) -> None:
        """The BMC itself fetches the image. What was in the drives of this kind is taken out before."""
        ...

    def eject_media(self, kinds: Collection[MediaKind] | None = None, *, deadline_s: float = 60.0) -> None:
        """From the drives of these kinds; from all for None. Empty drives are fine."""
        ...


@runtime_checkable
class HasSecureBoot(Protocol):
    def secure_boot(self, *, deadline_s: float = 10.0) -> bool: ...

    def set_secure_boot(self, *, on: bool, deadline_s: float = 10.0) -> None:
        """It holds from the next boot on."""
        ...


@runtime_checkable
class HasIndicators(Protocol):
    def indicators(self, *, deadline_s: float = 10.0) -> list[Indicator]: ...

    def set_indicator(self, component: str, name: str, state: str, *, deadline_s: float = 10.0) -> None:
        """Raises `Unsupported` for a light that there is not, or a state that it has not."""
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
