"""System boot options of the virtual BMC (§28.12, §28.13): what the firmware is asked to do at the next start."""

from bmc.rmcp.message import Code
from bmc.types import BootDevice
from bmc.virtual.errors import Refused

SET_IN_PROGRESS, PARTITION_SELECTOR, PARTITION_SCAN, VALID_BIT_CLEARING, ACKNOWLEDGE, FLAGS, INITIATOR = range(7)
SIZES = {
    SET_IN_PROGRESS: 1,
    PARTITION_SELECTOR: 1,
    PARTITION_SCAN: 1,
    VALID_BIT_CLEARING: 1,
    ACKNOWLEDGE: 2,
    FLAGS: 5,
    INITIATOR: 9,
}
UNSUPPORTED_PARAMETER = 0x80
VALID, PERSISTENT, UEFI = 0x80, 0x40, 0x20
SELECTORS = {
    0: BootDevice.NONE,
    1: BootDevice.PXE,
    2: BootDevice.DISK,
    3: BootDevice.DISK,  # disk, safe mode
    5: BootDevice.CDROM,
    6: BootDevice.BIOS,
    8: BootDevice.CDROM,  # remotely connected CD
    11: BootDevice.DISK,  # remotely connected disk
}


class BootOptions:
    """Parameters as raw octets. The 60 s after which real BMCs drop unused flags are not imitated."""

    def __init__(self) -> None:
        self._values = {number: bytes(size) for number, size in SIZES.items()}
        self._invalid: set[int] = set()

    def get(self, parameter: int) -> bytes:
        if parameter not in SIZES:
            raise Refused(UNSUPPORTED_PARAMETER)
        return bytes([parameter | (0x80 if parameter in self._invalid else 0)]) + self._values[parameter]

    def set(self, parameter: int, data: bytes, *, is_invalid: bool) -> None:
        if parameter not in SIZES:
            raise Refused(UNSUPPORTED_PARAMETER)
        if data and len(data) != SIZES[parameter]:
            raise Refused(Code.DATA_LENGTH_INVALID)
        if parameter == FLAGS and data and data[1] >> 2 & 0x0F not in SELECTORS:
            raise Refused(Code.INVALID_FIELD)
        if parameter == ACKNOWLEDGE and data:
            data = bytes([0, data[1]])  # the first octet is a write mask
        if data:
            self._values[parameter] = data
        (self._invalid.add if is_invalid else self._invalid.discard)(parameter)

    @property
    def device(self) -> BootDevice | None:
        """The device asked for; None while the flags are not valid."""
        flags = self._values[FLAGS]
        if not flags[0] & VALID or FLAGS in self._invalid:
            return None
        return SELECTORS[flags[1] >> 2 & 0x0F]

    @property
    def is_persistent(self) -> bool:
        return bool(self._values[FLAGS][0] & PERSISTENT)

    def used(self) -> None:
        """The firmware has read the flags: those for one boot only are gone."""
        if self.device is not None and not self.is_persistent:
            self._values[FLAGS] = bytes(5)
