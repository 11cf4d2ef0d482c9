"""What can go wrong in network boot. A class docstring is the public sentence; `retryable`: time may cure it."""

from typing import ClassVar, Literal

Blame = Literal["caller", "peer", "us"]


class PxeError(Exception):
    """Network boot failed."""

    blame: ClassVar[Blame] = "us"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__class__.__doc__ or "").strip())


class MalformedPacket(PxeError):
    """A peer sent bytes that its protocol does not allow."""

    blame = "peer"


class FileRefused(PxeError):
    """The file is outside of what is served, or is not a plain file."""

    blame = "peer"


class FileMissing(PxeError):
    """There is no such file."""

    blame = "peer"


class StorageFault(PxeError):
    """Leases cannot be written to the disk; no new lease is given out until they can."""

    retryable = True


class UnsafeValue(PxeError):
    """A value does not fit the grammar of a boot script."""

    blame = "caller"


class ListenFault(PxeError):
    """An address cannot be listened on."""

    retryable = True
