"""What the virtual BMC needs: a machine to control. The lab fulfils it with QEMU, the tests with a pretend machine."""

from collections.abc import Callable
from typing import Protocol

from bmc.types import BootDevice


class Machine(Protocol):
    """Calls may come from any thread and return quickly; `power_on` may take a second or two."""

    def is_on(self) -> bool: ...

    def power_on(self) -> None: ...

    def power_off(self) -> None: ...

    def reset(self) -> None: ...

    def soft_off(self) -> None: ...

    def pulse_nmi(self) -> None: ...

    def set_boot_order(self, *, once: BootDevice | None, persistent: BootDevice) -> None:
        """The order for the next power on or reset; the machine itself drops `once` after it was used."""
        ...

    def console_write(self, data: bytes) -> None: ...

    def on_console(self, sink: Callable[[bytes], None] | None) -> None:
        """Send every byte of the serial port to sink from now on; None stops it."""
        ...
